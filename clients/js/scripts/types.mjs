// Writes src/generated from the JSON Schemas of the messages and the OpenAPI document of the HTTP API:
// `node scripts/types.mjs [--check]`.
// With --check nothing is written, and what is not current is named with status 1.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { compile } from 'json-schema-to-typescript';
import openapi, { astToString } from 'openapi-typescript';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const schemas = join(root, 'docs/api/schemas');
const generated = fileURLToPath(new URL('../src/generated/', import.meta.url));
const BANNER = '// Made by `npm run types` from docs/api; edit that instead.';

const pascal = (name) => name.replace(/(^|_)([a-z])/g, (_, __, letter) => letter.toUpperCase());

// What says which keys go together becomes unions that nobody can read; the server checks it anyway.
const NOT_TYPES = ['anyOf', 'dependentSchemas', 'dependentRequired'];

async function messageTypes() {
  const files = (await readdir(schemas)).filter((file) => file.endsWith('.json')).sort();
  const out = new Map();
  for (const file of files) {
    const schema = JSON.parse(await readFile(join(schemas, file), 'utf8'));
    const name = basename(file, '.json');
    for (const key of NOT_TYPES) delete schema[key];
    if (schema.properties) delete schema.oneOf;
    delete schema.title;
    delete schema.$id;
    // The examples are for the documents; a list of tuples is no help as a type.
    for (const definition of Object.values(schema.$defs ?? {})) delete definition.title;
    if (schema.properties?.skill_names) {
      delete schema.properties.skill_names.minItems;
      delete schema.properties.skill_names.maxItems;
    }
    const text = await compile(schema, pascal(name), {
      additionalProperties: false,
      bannerComment: BANNER,
      ignoreMinAndMaxItems: true,
      style: { singleQuote: true, printWidth: 120 },
    });
    out.set(`${name}.ts`, text);
  }
  return out;
}

async function apiTypes() {
  const document = pathToFileURL(join(root, 'docs/api/openapi.yaml'));
  return `${BANNER}\n${astToString(await openapi(document))}`;
}

const wanted = await messageTypes();
wanted.set('openapi.ts', await apiTypes());

const present = (await readdir(generated).catch(() => [])).sort();
const stale = [];
for (const [file, text] of wanted) {
  const now = await readFile(join(generated, file), 'utf8').catch(() => null);
  if (now !== text) stale.push(file);
}
const extra = present.filter((file) => !wanted.has(file));

if (process.argv.includes('--check')) {
  if (stale.length || extra.length) {
    console.error(`src/generated is not current (${[...stale, ...extra].join(', ')}): run npm run types`);
    process.exit(1);
  }
} else {
  for (const file of stale) await writeFile(join(generated, file), wanted.get(file));
  for (const file of extra) await rm(join(generated, file));
  console.log(`${wanted.size} files, ${stale.length + extra.length} of them changed`);
}
