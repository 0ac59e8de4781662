import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { NOW } from '../jwt/tokens.ts';
import { allow, filterChainOf, paths, policy, raw } from './chains.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const MIB = 1024 * 1024;

function oldSpaceBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')?.space_used_size ?? 0;
}

describe('the garbage of a filter chain', () => {
  const rules = policy('RequestAuthentication', 'jwt', { jwtRules: [{ issuer: 'issuer', jwks: '{"keys":[]}' }] });
  for (const [outcome, path, headers] of [
    ['forward', '/ok', []],
    ['reply', '/no', []],
    ['verify', '/ok', ['Authorization', 'Bearer not-a-token']],
  ] as const) {
    it(`does not outlive the young generation, where it costs least, when the verdict is ${outcome}`, () => {
      const chain = filterChainOf([rules, allow('allow', paths('/ok'))], { deferVerification: true });
      const evaluate = (requests: number): void => {
        for (let count = 0; count < requests; count += 1) expect(chain.evaluate(raw(path, headers), NOW).kind).to.equal(outcome);
      };
      evaluate(1000);
      // Moves what is in use to the old generation: what only garbage of that generation refers to is kept, too.
      collectGarbage();
      const before = oldSpaceBytes();
      evaluate(100_000);
      expect(oldSpaceBytes() - before).to.be.below(2 * MIB);
    });
  }
});
