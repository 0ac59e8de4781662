/*
 * The page on responses names every reason to refuse one.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { RESPONSE_FAULT } from '../../../src/agent/http1/response-fault.ts';

describe('docs/reference/responses.md', () => {
  it('explains every reason to refuse a response', () => {
    const page = readFileSync(new URL('../../../docs/reference/responses.md', import.meta.url), 'utf8');
    const explained = [...page.matchAll(/^\| `([a-z0-9_.]+)` \|/gm)].map(([, reason]) => reason);
    expect(explained).to.deep.equal(Object.values(RESPONSE_FAULT));
  });
});
