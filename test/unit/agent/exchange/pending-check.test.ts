import { expect } from 'chai';
import { PendingCheck } from '../../../../src/agent/exchange/pending-check.ts';
import type { CheckResponse } from '../../../../src/filters/check-response.ts';
import type { CheckVerdict } from '../../../../src/filters/verdict.ts';
import type { BodyPrefix } from '../../../../src/http/stream.ts';

const ALLOW: CheckResponse = { kind: 'allow', setHeaders: [], removeHeaders: [] };
const check = (includeRequestBodyInCheck?: object): CheckVerdict =>
  ({ kind: 'check', provider: { name: 'p', ...(includeRequestBodyInCheck && { includeRequestBodyInCheck }) } }) as unknown as CheckVerdict;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A check whose responses the test gives. */
function stage() {
  const sent: {
    readonly body: BodyPrefix | undefined;
    readonly signal: AbortSignal;
    readonly respond: (response: CheckResponse | Error) => void;
  }[] = [];
  const responses: CheckResponse[] = [];
  const pending = new PendingCheck(
    (_check, body, signal) =>
      new Promise((resolve, reject) => {
        sent.push({ body, signal, respond: (response) => (response instanceof Error ? reject(response) : resolve(response)) });
      }),
    (_check, response) => responses.push(response),
  );
  return { pending, sent, responses };
}

describe('a pending check', () => {
  it('is sent without a body when the request or the provider has none', async () => {
    const { pending, sent, responses } = stage();

    expect(pending.start(check({ maxRequestBytes: 10, allowPartialMessage: true }), false)).to.equal(0);
    expect(pending.start(check(), true)).to.equal(0);
    expect(sent.map(({ body }) => body)).to.deep.equal([undefined, undefined]);
    sent[1]?.respond(ALLOW);
    await turn();
    expect(responses).to.deep.equal([ALLOW]);
  });

  it('waits for the bytes that the provider wants, and one more when it wants no part', () => {
    const { pending, sent } = stage();

    expect(pending.start(check({ maxRequestBytes: 10, allowPartialMessage: true }), true)).to.equal(10);
    expect(sent).to.deep.equal([]);
    const prefix = { bytes: Buffer.from('x'), whole: true };
    pending.onPrefix(prefix);
    pending.onPrefix(prefix);
    expect(sent.map(({ body }) => body)).to.deep.equal([prefix]);
    expect(pending.start(check({ maxRequestBytes: 10, allowPartialMessage: false }), true)).to.equal(11);
  });

  it('denies with 403 when the client rejects, and without a client', async () => {
    const { pending, sent, responses } = stage();
    pending.start(check(), false);
    sent[0]?.respond(new Error('bug'));
    const without = new PendingCheck(undefined, (_check, response) => responses.push(response));
    without.start(check(), false);
    await turn();

    expect(responses.map((response) => response.kind === 'reply' && response.status)).to.deep.equal([403, 403]);
  });

  it('ignores the response after it was aborted, and aborts the check', async () => {
    const { pending, sent, responses } = stage();
    pending.start(check(), false);
    pending.abort();
    sent[0]?.respond(ALLOW);
    await turn();

    expect(sent[0]?.signal.aborted).to.equal(true);
    expect(responses).to.deep.equal([]);
    pending.abort();
  });

  it('sends nothing when it was aborted while it waited for the body', () => {
    const { pending, sent } = stage();
    pending.start(check({ maxRequestBytes: 10, allowPartialMessage: true }), true);
    pending.abort();
    pending.onPrefix({ bytes: Buffer.from('x'), whole: true });

    expect(sent).to.deep.equal([]);
  });

  it('takes the response of the check at hand only', async () => {
    const { pending, sent, responses } = stage();
    pending.start(check(), false);
    pending.abort();
    pending.start(check(), false);
    sent[0]?.respond(ALLOW);
    await turn();
    expect(responses).to.deep.equal([]);
    sent[1]?.respond(ALLOW);
    await turn();
    expect(responses).to.deep.equal([ALLOW]);
  });
});
