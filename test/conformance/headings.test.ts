/*
 * Each heading of docs/differences.md has a record behind it: a request that is decided differently under its name, a listener that
 * Envoy refused, or a raw request or response of the attack set, which compares what a connection carries with a running Envoy.
 */
import { join } from 'node:path';
import { expect } from 'chai';
import { DIFFERENCES as ATTACK_DIFFERENCES } from '../attack/differences.ts';
import { HTTP2_DIFFERENCES } from '../attack/http2/differences.ts';
import { readCases } from './case-file.ts';
import { explainedNames } from './differences.ts';
import { libraryWay } from './library.ts';
import { proxyWay } from './proxy.ts';
import { replay } from './replay.ts';

/** Records without a request that is decided: Envoy refused the listener, so it served none. */
const REFUSED_LISTENERS: Readonly<Record<string, string>> = {
  'listener-refused': 'found_listener_template-257-deny',
  'jwks-without-usable-key': 'jwt_jwks-empty-keys',
};

describe('the headings of docs/differences.md', function () {
  this.timeout(120_000);
  const cases = ['cases', 'found'].flatMap((name) => readCases(join(import.meta.dirname, name)));

  it('have a recorded request, a refused listener or a case of the attack set', async () => {
    const reports = [await replay(cases, proxyWay), await replay(cases, libraryWay)];
    const recorded = new Set(reports.flatMap(({ differences }) => differences.map(({ documented }) => documented)));
    // Each of them fails unless its cases differ.
    for (const { documented, cases: compared } of [...ATTACK_DIFFERENCES, ...HTTP2_DIFFERENCES])
      if (compared.length > 0) recorded.add(documented);
    for (const [name, file] of Object.entries(REFUSED_LISTENERS)) {
      if (cases.some((recordedCase) => recordedCase.file === file && recordedCase.istio.envoyRejected !== undefined)) recorded.add(name);
    }

    expect([...explainedNames()].filter((name) => !recorded.has(name))).to.deep.equal([]);
  });
});
