import { expect } from 'chai';
import {
  escapeSpecial,
  isPrintable,
  printable,
  printableLines,
  printableStart,
  requestText,
} from '../../../../src/cli/terminal/printable.ts';

describe('requestText', () => {
  it('shortens a long target', () => {
    expect(requestText({ method: 'GET', target: `/${'a'.repeat(300)}` })).to.equal(`GET /${'a'.repeat(199)}…`);
  });

  it('redacts tokens', () => {
    expect(requestText({ method: 'GET', target: '/?access_token=abc' })).to.equal('GET /?access_token=…');
  });
});

describe('printable', () => {
  const cases: Readonly<Record<string, readonly [text: string, shown: string]>> = {
    'line breaks and tabs': ['a\r\nb\tc', 'a\\r\\nb\\tc'],
    'the escape character and the bell': ['\u001b[2J\u001b]0;x\u0007', '\\u001b[2J\\u001b]0;x\\u0007'],
    'C1 control characters and DEL': ['\u009b31m\u0085\u007f\u0000', '\\u009b31m\\u0085\\u007f\\u0000'],
    'bidirectional overrides and isolates': ['\u202eevil\u2066\u2069\u200f', '\\u202eevil\\u2066\\u2069\\u200f'],
    'line separators': ['a\u2028b\u2029', 'a\\u2028b\\u2029'],
    'invisible characters': ['a\u200bb\ufeff\u00ad\u{e0041}', 'a\\u200bb\\ufeff\\u00ad\\udb40\\udc41'],
    'lone surrogates': ['\ud800x\udfff', '\\ud800x\\udfff'],
    'commands inside of a line': ['a ##vso[x] ##[error]b ##TeamCity[c', 'a #\\u0023vso[x] #\\u0023[error]b #\\u0023TeamCity[c'],
  };
  for (const [name, [text, shown]] of Object.entries(cases)) {
    it(`escapes ${name}`, () => {
      expect(printable(text)).to.equal(shown);
      expect(isPrintable(text)).to.equal(false);
      expect(printable(shown)).to.equal(shown);
    });
  }

  it('keeps all other characters', () => {
    expect(printable('é日😀 ::1 # ## \\n')).to.equal('é日😀 ::1 # ## \\n');
  });
});

describe('printableStart', () => {
  it('cuts what is very long', () => {
    expect(printableStart(`${'a'.repeat(1_000_000)}`)).to.equal(`${'a'.repeat(2000)}…`);
    expect(printableStart('a\n')).to.equal('a\\n');
  });
});

describe('printableLines', () => {
  it('keeps line breaks and styles, and no other control sequence', () => {
    expect(printableLines('\u001b[31mred\u001b[39m\n\u001b[2Jx\r\n')).to.equal('\u001b[31mred\u001b[39m\n\\u001b[2Jx\\r\n');
  });

  it('escapes commands at the start of a line, after whitespace and styles, too', () => {
    expect(printableLines('a\n::error::x\n  ::add-mask::y\n\u001b[1m ::z\n::1')).to.equal(
      'a\n\\u003a:error::x\n  \\u003a:add-mask::y\n\u001b[1m \\u003a:z\n\\u003a:1',
    );
    expect(printableLines('x ::error::\n')).to.equal('x ::error::\n');
  });
});

describe('escapeSpecial', () => {
  const value = { a: '\u009b\u202e\u2028\ud800-\u{e0041}\n\t ##vso[x]' };

  it('leaves JSON with the same value', () => {
    const text = escapeSpecial(JSON.stringify(value, null, 2), 'json');

    expect(text).to.match(/^[\n -~]*$/);
    expect(text).not.to.include('##');
    expect(JSON.parse(text)).to.deep.equal(value);
  });

  it('escapes whole characters for YAML', () => {
    expect(escapeSpecial('"\u{e0041}"', 'yaml')).to.equal('"\\U000e0041"');
  });
});
