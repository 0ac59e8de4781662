import { expect } from 'chai';
import { grpcTimeoutMs } from '../../../src/http/grpc-timeout.ts';

describe('grpcTimeoutMs', () => {
  for (const [value, ms] of [
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['4m', 4],
    ['1000u', 1],
    ['1001u', 2],
    ['1u', 1],
    ['1000000n', 1],
    ['1000001n', 2],
    ['99999999n', 100],
    ['99999999u', 100_000],
    ['99999999H', 99_999_999 * 3_600_000],
    ['0m', 0],
    ['-0m', 0],
    ['+5m', 5],
    ['0000000000005m', 5],
    [' 5 \tm', 5],
  ] as const) {
    it(`is ${ms} for ${JSON.stringify(value)}`, () => {
      expect(grpcTimeoutMs(value)).to.equal(ms);
    });
  }

  for (const value of ['', 'm', '5', '100000000m', '-1m', '1.5S', '1e3m', '1s', '1h', '1M1S', '1S,2S', '1_0m', '+-0m', '+ 0m', '١m']) {
    it(`is undefined for ${JSON.stringify(value)}`, () => {
      expect(grpcTimeoutMs(value)).to.equal(undefined);
    });
  }
});
