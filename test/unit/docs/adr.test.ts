import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';

const directory = join(import.meta.dirname, '../../../docs/adr');

describe('docs/adr', () => {
  it('lists every decision once, in order, with its number in the title', () => {
    const files = readdirSync(directory).filter((name) => /^\d{4}-/.test(name));
    const listed = [...readFileSync(join(directory, 'README.md'), 'utf8').matchAll(/^\| \[(\d+)\]\(([^)]+)\) \|/gm)];

    expect(listed.map(([, , file]) => file)).to.deep.equal(files.toSorted());
    for (const [index, [, number, file = '']] of listed.entries()) {
      expect(Number(number), file).to.equal(index + 1);
      expect(readFileSync(join(directory, file), 'utf8'), file).to.match(new RegExp(`^# ${number}\\. `));
    }
  });
});
