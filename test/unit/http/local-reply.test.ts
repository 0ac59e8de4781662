import { expect } from 'chai';
import { completeReply, grpcMessage, type LocalReply } from '../../../src/http/local-reply.ts';

const reply = (status: number, body: string): LocalReply => ({ kind: 'reply', status, body, headers: [], close: false, details: '' });

describe('replies', () => {
  for (const [status, grpcStatus] of [
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [413, 2],
    [429, 14],
    [500, 2],
    [502, 14],
    [503, 14],
    [504, 14],
    [200, 2],
  ] as const) {
    it(`say ${grpcStatus} to gRPC for ${status}`, () => {
      const { headers } = completeReply(reply(status, ''), { grpc: true, isHead: false, close: false });
      expect(headers).to.deep.equal(['content-type', 'application/grpc', 'grpc-status', String(grpcStatus)]);
    });
  }

  it('escape messages of gRPC', () => {
    expect(grpcMessage('a b%~\n\u007fé')).to.equal('a b%25%7E%0A%7F%C3%A9');
  });

  it('have a content type only with a body', () => {
    const form = { grpc: false, isHead: false, close: true };
    expect(completeReply(reply(400, ''), form)).to.deep.include({ headers: [], close: true });
    expect(completeReply(reply(400, 'x'), form).headers).to.deep.equal(['content-type', 'text/plain']);
  });
});
