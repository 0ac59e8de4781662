import { PassThrough } from 'node:stream';
import { WriteStream } from 'node:tty';
import { expect } from 'chai';
import { hasColours, textLine } from '../../../src/telemetry/text-line.ts';

const TIME = '2026-01-02T03:04:05.678Z';
const text = (fields: object, isColoured = false): string =>
  textLine(`${JSON.stringify({ level: 'info', time: TIME, component: 'agent', ...fields })}\n`, isColoured);

describe('text of a log line', () => {
  it('has time, level and message in columns, and all other fields in their order', () => {
    const short = text({ part: 'feed', port: 80, ready: true, message: 'agent listens' });
    const other = textLine(`{"level":"warn","time":"${TIME}","component":"agent","message":"slow"}\n`, false);

    expect(short).to.equal(`${TIME} INFO  ${'agent listens'.padEnd(44)} component=agent part=feed port=80 ready=true\n`);
    expect(other.indexOf('component=')).to.equal(short.indexOf('component='));
  });

  it('quotes values that could be read as another field', () => {
    const line = text({ empty: '', words: 'a b', pair: 'a=b', quote: '"', plain: '/a?b', object: { a: ['b'] }, none: null });
    expect(line).to.contain('empty="" words="a b" pair="a=b" quote="\\"" plain=/a?b object={"a":["b"]} none=null\n');
  });

  it('shows an error by its fields and its stack in indented lines', () => {
    const err = { type: 'Error', message: 'no such host', code: 'ENOTFOUND', stack: 'Error: no such host\n    at one\n    at two' };
    expect(text({ err, message: 'failed' }).split('\n').slice(0, 4)).to.deep.equal([
      `${TIME} INFO  ${'failed'.padEnd(44)} component=agent err.type=Error err.message="no such host" err.code=ENOTFOUND`,
      '      Error: no such host',
      '      at one',
      '      at two',
    ]);
  });

  it('leaves no control character of a key, value, message or stack to the terminal, and no line to a value', () => {
    const evil = `\u001b[2J\n${TIME} INFO  forged\r\u0085\u202e\u2028`;
    const fields = { level: evil, time: evil, [evil]: evil, nested: { [evil]: evil }, message: evil };
    const line = text({ ...fields, err: { [evil]: evil, message: evil, stack: evil } });

    // oxlint-disable-next-line no-control-regex -- what a terminal interprets
    expect(line.replaceAll('\n', '')).to.not.match(/[\u0000-\u001f\u007f-\u009f\u202e\u2028]/);
    expect(line.split('\n').filter((each) => each.startsWith(TIME))).to.have.length(0);
    expect(line.trimEnd().split('\n').slice(1)).to.satisfy((lines: readonly string[]) => lines.every((each) => each.startsWith('      ')));
  });

  it('styles level, time and keys when the terminal shows colours', () => {
    const line = text({ level: 'error', message: 'failed' }, true);
    expect(line).to.contain('\u001b[31mERROR\u001b[39m').and.to.contain('\u001b[2mcomponent=\u001b[22magent');
  });

  describe('colours', () => {
    const names = ['CI', 'FORCE_COLOR', 'NO_COLOR', 'TERM'] as const;
    const saved = names.map((name) => [name, process.env[name]] as const);
    beforeEach(() => {
      for (const name of names) delete process.env[name];
      process.env['TERM'] = 'xterm-256color';
    });
    after(() => {
      for (const [name, value] of saved) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    });
    const terminal = Object.assign(new PassThrough(), {
      isTTY: true,
      getColorDepth: () => WriteStream.prototype.getColorDepth.call(process.stdout),
    });

    it('are shown on a terminal', () => {
      expect(hasColours(terminal)).to.equal(true);
    });

    it('are not shown in a pipe, on a terminal without colours, and with NO_COLOR', () => {
      const pipe = hasColours(new PassThrough());
      process.env['NO_COLOR'] = '1';
      const refused = hasColours(terminal);
      delete process.env['NO_COLOR'];
      process.env['TERM'] = 'dumb';
      expect([pipe, refused, hasColours(terminal)]).to.deep.equal([false, false, false]);
    });
  });
});
