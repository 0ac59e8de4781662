/*
 * Each heading of docs/differences.md has a record behind it: a request that is decided differently under its name, or a listener that
 * Envoy refused.
 */
import { join } from 'node:path';
import { expect } from 'chai';
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

/**
 * Not recorded: the authorizer of the records sends no such response and has a name that resolves. What a connection carries is compared with a running Envoy instead (test/integration).
 */
const NOT_RECORDED = /^(?:custom-(?:reach-of-answers|fail-open-limits|unknown-service)|http1-only|upgrade-with-body|wire-.*)$/;

describe('the headings of docs/differences.md', function () {
  this.timeout(120_000);
  const cases = ['cases', 'found'].flatMap((name) => readCases(join(import.meta.dirname, name)));

  it('have a recorded request or a refused listener', async () => {
    const reports = [await replay(cases, proxyWay), await replay(cases, libraryWay)];
    const recorded = new Set(reports.flatMap(({ differences }) => differences.map(({ documented }) => documented)));
    for (const [name, file] of Object.entries(REFUSED_LISTENERS)) {
      if (cases.some((recordedCase) => recordedCase.file === file && recordedCase.istio.envoyRejected !== undefined)) recorded.add(name);
    }

    expect([...explainedNames()].filter((name) => !recorded.has(name) && !NOT_RECORDED.test(name))).to.deep.equal([]);
  });
});
