import { expect } from 'chai';
import { explainCodecRejection } from '../../../src/explain/codec-rejection.ts';

describe('explainCodecRejection', () => {
  it('reports status and details of the codec, and no rules', () => {
    const { verdict, decidedBy, ...rest } = explainCodecRejection({ status: 400, details: 'http1.codec_error', hint: 'line 3' });

    expect(verdict).to.deep.equal({ outcome: 'reject', status: 400, details: 'http1.codec_error' });
    expect(decidedBy).to.deep.equal({ stage: 'codec', text: 'agents reject this request as invalid HTTP/1.1: line 3' });
    expect(rest).to.deep.equal({ dryRun: [], authentication: [], rules: [], caveats: [] });
  });

  it('falls back to the details when there is no hint', () => {
    expect(explainCodecRejection({ status: 431, details: 'too_large' }).decidedBy.text).to.match(/: too_large$/);
  });
});
