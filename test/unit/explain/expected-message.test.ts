import { expect } from 'chai';
import { createExplainedChain, evaluateToEnd, type FinalVerdict } from '../../../src/explain/evaluate-to-end.ts';
import { type ExpectedMessages, messageDifferences } from '../../../src/explain/expected-message.ts';
import { enforce, get, NOW, paths, policy } from './support.ts';

const chain = createExplainedChain(enforce([policy('deny', { action: 'DENY', rules: [paths('/no')] })]));

function verdictFor(target: string, headers: readonly string[] = []): FinalVerdict {
  return evaluateToEnd(chain, get(target, headers), NOW, 'allow').final;
}

describe('messageDifferences', () => {
  const forwarded = verdictFor('/a?b=c', ['X-Tag', 'one', 'x-tag', 'two', 'X-Name', Buffer.from('é').toString('latin1')]);
  const replied = verdictFor('/no');

  const equal: readonly (readonly [name: string, expected: ExpectedMessages, final: FinalVerdict])[] = [
    ['nothing is expected', {}, forwarded],
    ['method, path and host are equal', { upstream: { method: 'GET', path: '/a?b=c', host: 'a' } }, forwarded],
    ['all values of a header are equal, its name in another case', { upstream: { headers: { 'X-TAG': ['one', 'two'] } } }, forwarded],
    ['a header expected to be absent is absent', { upstream: { headers: { 'x-none': null } } }, forwarded],
    ['a UTF-8 value is equal', { upstream: { headers: { 'x-name': 'é' } } }, forwarded],
    ['body and header of the reply are equal', { body: 'RBAC: access denied', headers: { 'Content-Type': 'text/plain' } }, replied],
  ];
  for (const [name, expected, final] of equal) {
    it(`returns nothing when ${name}`, () => {
      expect(messageDifferences(expected, final)).to.deep.equal([]);
    });
  }

  const different: readonly (readonly [name: string, expected: ExpectedMessages, final: FinalVerdict | undefined, text: string])[] = [
    ['another method', { upstream: { method: 'PUT' } }, forwarded, 'upstream.method is GET, expected PUT'],
    ['another path', { upstream: { path: '/b' } }, forwarded, 'upstream.path is /a?b=c, expected /b'],
    ['another host', { upstream: { host: 'b' } }, forwarded, 'upstream.host is a, expected b'],
    [
      'fewer values of a header',
      { upstream: { headers: { 'x-tag': 'one' } } },
      forwarded,
      'upstream.headers[x-tag] is "one" and "two", expected "one"',
    ],
    [
      'a header that should be absent',
      { headers: { 'content-type': null } },
      replied,
      'headers[content-type] is "text/plain", expected absent',
    ],
    ['an absent header', { headers: { 'x-a': 'b' } }, replied, 'headers[x-a] is absent, expected "b"'],
    ['another body', { body: 'x' }, replied, 'body is RBAC: access denied, expected x'],
    ['an expected reply of a forwarded request', { body: 'x' }, forwarded, 'there is no agent reply to compare: the application replies'],
    ['an expected reply of a rejected request', { body: 'x' }, undefined, 'there is no agent reply to compare: the codec replies'],
    ['an expected request when the agent replies', { upstream: {} }, replied, 'the application gets no request'],
    ['an expected request when the codec replies', { upstream: {} }, undefined, 'the application gets no request'],
  ];
  for (const [name, expected, final, text] of different) {
    it(`reports ${name}`, () => {
      expect(messageDifferences(expected, final)).to.deep.equal([text]);
    });
  }

  it('reports every difference, redacted', () => {
    const final = verdictFor('/?token=abcdef', ['authorization', 'Basic c2VjcmV0']);
    const differences = messageDifferences({ upstream: { path: '/', headers: { authorization: 'Basic b3RoZXI=' } } }, final);

    expect(differences).to.deep.equal([
      'upstream.path is /?token=…, expected /',
      'upstream.headers[authorization] is "Basic …", expected "Basic …"',
    ]);
  });
});
