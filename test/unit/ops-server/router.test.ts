import { expect } from 'chai';
import { createRouter, plainText } from '../../../src/ops-server/router.ts';

describe('router', () => {
  const route = createRouter([
    { path: '/exact', handle: ({ query }) => plainText(200, query.get('a') ?? '-') },
    { path: '/checks', subpaths: true, handle: ({ subpath }) => plainText(200, subpath ?? '(none)') },
    { path: '/later', handle: () => Promise.resolve(plainText(200, 'later')) },
  ]);
  const cases: readonly (readonly [method: string, target: string, reply: string])[] = [
    ['GET', '/exact', '200 -'],
    ['HEAD', '/exact?a=b', '200 b'],
    ['GET', '/exact/', '404 not found\n'],
    ['GET', '/exact/more', '404 not found\n'],
    ['GET', '/checks', '200 (none)'],
    ['GET', '/checks/', '200 '],
    ['GET', '/checks/one', '200 one'],
    ['GET', '/checks/one/two', '404 not found\n'],
    ['GET', '/later', '200 later'],
    ['GET', '/', '404 not found\n'],
    ['GET', '/unknown', '404 not found\n'],
    ['POST', '/exact', '405 only GET\n'],
    ['GET', 'http://[', '400 bad request\n'],
  ];
  for (const [method, target, reply] of cases) {
    it(`returns ${reply.slice(0, 3)} for ${method} ${target}`, async () => {
      const { status, body } = await route(method, target);
      expect(`${status} ${body}`).to.equal(reply);
    });
  }

  it('rejects with the error of a handler', async () => {
    const failing = createRouter([
      {
        path: '/x',
        handle: () => {
          throw new Error('broken');
        },
      },
    ]);
    const error = await failing('GET', '/x').catch((reason: unknown) => reason);
    expect(error).to.have.property('message', 'broken');
  });
});
