// Which view the address asks for. The server sees none of it: everything is behind the `#`.

export type Route = { view: 'overview' } | { view: 'skill'; skillName: string };

const SKILL = '#/skill/';

export function parseRoute(hash: string): Route {
  if (hash.startsWith(SKILL) && hash.length > SKILL.length) {
    try {
      return { view: 'skill', skillName: decodeURIComponent(hash.slice(SKILL.length)) };
    } catch {
      // A percent sign that encodes nothing: somebody typed it.
    }
  }
  return { view: 'overview' };
}

export function skillHref(skillName: string): string {
  return SKILL + encodeURIComponent(skillName);
}
