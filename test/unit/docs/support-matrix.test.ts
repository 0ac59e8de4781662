/*
 * The notes behind docs/reference/support-matrix.md name only differences that docs/differences.md explains.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { AUTHORIZATION_POLICY_NOTES, CONDITION_NOTES, REQUEST_AUTHENTICATION_NOTES } from '../../../scripts/reference/support-notes.ts';

describe('docs/reference/support-matrix.md', () => {
  it('names a difference that is explained for each field that has one, and no other', () => {
    const text = readFileSync(new URL('../../../docs/differences.md', import.meta.url), 'utf8');
    const explained = [...text.matchAll(/^## `([a-z0-9-]+)`$/gm)].map(([, name]) => name);
    const conditions = Object.values(CONDITION_NOTES).map(({ note }) => note);
    const notes = [...Object.values(REQUEST_AUTHENTICATION_NOTES), ...Object.values(AUTHORIZATION_POLICY_NOTES), ...conditions];
    const differing = notes.filter(({ status }) => status === 'with a difference');

    expect(differing).to.not.have.length(0);
    for (const { note } of differing) {
      const named = [...note.matchAll(/`([a-z0-9]+(?:-[a-z0-9]+)+)`/g)].map(([, name]) => name);
      expect(named, note).to.not.have.length(0);
      expect(explained).to.include.members(named);
    }
  });
});
