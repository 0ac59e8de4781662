import { expect } from 'chai';
import { deniedDetails, grpcMessage, reply } from '../../../src/filters/reply.ts';

const LOG = { outcome: 'deny', details: '', host: '', path: '', principal: '' } as const;

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
      const { headers } = reply({ status, body: '', headers: [] }, { grpc: true, isHead: false, close: false }, LOG);
      expect(headers).to.deep.equal(['content-type', 'application/grpc', 'grpc-status', String(grpcStatus)]);
    });
  }

  it('escape messages of gRPC', () => {
    expect(grpcMessage('a b%~\n\u007fé')).to.equal('a b%25%7E%0A%7F%C3%A9');
  });

  it('have a content type only with a body', () => {
    const form = { grpc: false, isHead: false, close: true };
    expect(reply({ status: 400, body: '', headers: [] }, form, LOG)).to.deep.include({ headers: [], close: true });
    expect(reply({ status: 400, body: 'x', headers: [] }, form, LOG).headers).to.deep.equal(['content-type', 'text/plain']);
  });

  it('name the deciding rule in the details without blanks', () => {
    expect(deniedDetails(undefined)).to.equal('rbac_access_denied_matched_policy[none]');
    expect(deniedDetails('a b\tc')).to.equal('rbac_access_denied_matched_policy[a_b_c]');
  });
});
