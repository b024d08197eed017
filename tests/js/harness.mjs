// Runs a script that was written for a browser under Node: `node harness.mjs script.js [speed]`.
//
// It gets ws as its WebSocket, which reports each received message on standard output as `@message <text>`, and the
// functions that the examples of the API expect from the page. `speed` divides the delays of setTimeout.
import { readFileSync } from 'node:fs';
import vm from 'node:vm';

import WebSocket from 'ws';

const [script, speed = '1'] = process.argv.slice(2);

class ReportingWebSocket extends WebSocket {
  constructor(...parameters) {
    super(...parameters);
    // A browser continues after a failed connection; in ws an error without a listener ends the process.
    this.on('error', (error) => console.log('@error', error.message));
    this.on('message', (data, isBinary) => console.log(isBinary ? '@binary' : `@message ${data}`));
    this.on('close', (code) => console.log('@close', code));
  }
}

function report(name) {
  return (value) => console.log(`@${name} ${JSON.stringify(value)}`);
}

Object.assign(globalThis, {
  WebSocket: ReportingWebSocket,
  updateTopSkillsTable: report('table'),
  highlightAnomalies: report('anomalies'),
  sendAlert: report('alert'),
});

if (speed !== '1') {
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (action, delay, ...rest) => setTimeout(action, delay / Number(speed), ...rest);
}

vm.runInThisContext(readFileSync(script, 'utf8'), { filename: script });
