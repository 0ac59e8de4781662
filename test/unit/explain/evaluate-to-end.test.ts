import { expect } from 'chai';
import { createExplainedChain, evaluateToEnd } from '../../../src/explain/evaluate-to-end.ts';
import { enforce, get, NOW, paths, policy } from './support.ts';

const CUSTOM = policy('custom', { action: 'CUSTOM', provider: { name: 'ext' }, rules: [paths('/ask')] });
const DENY = policy('deny', { action: 'DENY', rules: [paths('/no')] });

describe('evaluateToEnd', () => {
  const chain = createExplainedChain(enforce([CUSTOM, DENY]));

  it('names no provider when no CUSTOM rule matches', () => {
    const { final, providers } = evaluateToEnd(chain, get('/'), NOW, 'deny');

    expect([final.kind, providers]).to.deep.equal(['forward', []]);
  });

  it('continues after the assumed response allow', () => {
    const { final, providers } = evaluateToEnd(chain, get('/ask'), NOW, 'allow');

    expect([final.kind, providers]).to.deep.equal(['forward', ['ext']]);
  });

  it('ends with a 403 for the assumed response deny', () => {
    const { final, providers } = evaluateToEnd(chain, get('/ask'), NOW, 'deny');

    expect(final).to.deep.include({ kind: 'reply', status: 403 });
    expect(final.log).to.deep.include({ outcome: 'deny', details: 'ext_authz_denied' });
    expect(providers).to.deep.equal(['ext']);
  });

  it('returns the reply of a DENY rule', () => {
    const { final } = evaluateToEnd(chain, get('/no'), NOW, 'allow');

    expect(final).to.deep.include({ kind: 'reply', status: 403 });
  });

  it('throws an internal error of the chain instead of denying', () => {
    const broken = { ...get('/ask'), connection: undefined } as unknown as ReturnType<typeof get>;

    expect(() => evaluateToEnd(chain, broken, NOW, 'allow')).to.throw(TypeError);
  });
});
