import { expect } from 'chai';
import { Command, InvalidArgumentError } from 'commander';
import { CommandError } from '../../../../src/cli/context/command-context.ts';
import { integerParser, jwksOption, parseTime } from '../../../../src/cli/input/common-options.ts';

describe('integerParser', () => {
  const parse = integerParser(1, 65_535);

  for (const [text, value] of [
    ['1', 1],
    ['65535', 65_535],
    ['080', 80],
  ] as const) {
    it(`parses ${text}`, () => {
      expect(parse(text)).to.equal(value);
    });
  }

  for (const text of ['0', '65536', '-1', '1.5', '1e3', '0x1', ' 1', '', '9999999999']) {
    it(`rejects "${text}"`, () => {
      expect(() => parse(text)).to.throw(InvalidArgumentError, 'Expected a whole number from 1 to 65535.');
    });
  }
});

describe('parseTime', () => {
  it('returns whole Unix seconds', () => {
    expect(parseTime('2026-01-31T12:00:00.900Z')).to.equal(1_769_860_800);
  });

  it('returns the current time without an argument', () => {
    expect(parseTime(undefined)).to.be.closeTo(Date.now() / 1000, 5);
  });

  it('throws a CommandError for text that is not a time', () => {
    expect(() => parseTime('noon')).to.throw(CommandError, 'invalid time "noon": expected the form 2026-01-31T12:00:00Z');
  });
});

describe('jwksOption', () => {
  it('collects repeated values and is empty by default', () => {
    const values = (...args: readonly string[]): unknown =>
      new Command().addOption(jwksOption('keys')).parse(args, { from: 'user' }).opts()['jwks'];

    expect(values()).to.deep.equal([]);
    expect(values('--jwks', 'a', '--jwks', 'me=b')).to.deep.equal(['a', 'me=b']);
  });
});
