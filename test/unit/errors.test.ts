/* The table of error codes: the source uses every code, and the reference documents it. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describeErrorCode, ERROR_CODES, type ErrorCode } from '../../src/errors.ts';

const root = new URL('../../', import.meta.url);
const codes = Object.keys(ERROR_CODES) as ErrorCode[];

/** Source without comments: a code that only a comment mentions is not in use. */
function productSource(): string {
  const files = readdirSync(new URL('src/', root), { recursive: true, encoding: 'utf8' });
  return files
    .filter((name) => name.endsWith('.ts') && name !== 'errors.ts')
    .map((name) => readFileSync(new URL(`src/${name}`, root), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ''))
    .join('\n');
}

describe('error codes', () => {
  const source = productSource();
  const page = readFileSync(new URL('docs/reference/errors.md', root), 'utf8');

  for (const code of codes) {
    it(`${code} is used and documented`, () => {
      expect(source.includes(`'${code}'`) || code === 'SP_INVARIANT', 'no source file uses it').to.equal(true);
      expect(page).to.include(`| <a id="${code.toLowerCase()}"></a>\`${code}\` | ${describeErrorCode(code).text} |`);
    });
  }

  it('have a description of one line that ends with a full stop', () => {
    for (const code of codes) expect(describeErrorCode(code).text, code).to.match(/^[A-Z`][^\n]*\.$/);
  });
});
