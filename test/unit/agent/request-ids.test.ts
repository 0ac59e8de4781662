import { expect } from 'chai';
import { newRequestId } from '../../../src/agent/request-ids.ts';

describe('request ids', () => {
  it('are random UUIDs of version 4, each another one', () => {
    const ids = Array.from({ length: 1000 }, () => newRequestId());
    for (const id of ids) expect(id).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set(ids).size).to.equal(ids.length);
  });

  it('differ in every digit that is not fixed', () => {
    const ids = Array.from({ length: 1000 }, () => newRequestId());
    for (let at = 0; at < 36; at += 1) {
      const digits = new Set(ids.map((id) => id[at])).size;
      expect(digits, `digit ${at}`).to.equal([8, 13, 18, 23, 14].includes(at) ? 1 : at === 19 ? 4 : 16);
    }
  });
});
