/*
 * Logs whose reader is slow or gone, on real pipes and devices.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { LIMITS } from '../../../src/limits/agent-limits.ts';
import { ByteBudget } from '../../../src/limits/containers.ts';
import { LineWriter, LOST_LINES } from '../../../src/telemetry/line-writer.ts';
import { type LogSink, openLogSink } from '../../../src/telemetry/log-sink.ts';

const SCRIPT = join(import.meta.dirname, 'log-process.ts');
const LINES = 1000;

function start(mode: string): ChildProcess {
  return fork(SCRIPT, [mode], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
}

async function messageOf(child: ChildProcess): Promise<{ readonly lost: number }> {
  const [message] = (await once(child, 'message')) as [{ readonly lost: number }];
  return message;
}

describe('log of a process', () => {
  let child: ChildProcess | undefined;
  afterEach(() => child?.kill('SIGKILL'));

  it('does not hold up the process while nothing reads it, and says later how many lines it lost', async () => {
    child = start('go-on');
    const { lost } = await messageOf(child);
    expect(lost).to.be.greaterThan(0);

    const output = child.stdout === null ? Promise.resolve('') : text(child.stdout);
    child.send('end');
    const lines = (await output).split('\n').filter((line) => line !== '');
    const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const numbers = parsed.filter((line) => 'at' in line).map((line) => line['at'] as number);

    expect(numbers).to.deep.equal(numbers.toSorted((one, other) => one - other));
    expect(numbers).to.have.length(LINES - lost);
    expect(parsed.find((line) => line['component'] === 'log')).to.include({ level: 'warn', lines: lost });
  });

  it('lets the process end in time when nothing reads it', async () => {
    child = start('flush');
    expect((await once(child, 'exit'))[0]).to.equal(3);
  });

  it('lets a crashing process end when nothing reads it', async () => {
    child = start('throw');
    expect((await once(child, 'exit'))[0]).to.equal(1);
  });

  it('survives its reader and counts what it loses', async () => {
    child = start('absent-reader');
    await once(child, 'spawn');
    child.stdout?.destroy();
    await once(child.stdout as NodeJS.ReadableStream, 'close');
    child.send('reader is gone');
    expect(await messageOf(child)).to.deep.equal({ lost: 5 });
    child.send('end');
    expect((await once(child, 'exit'))[0]).to.equal(0);
  });
});

/** A sink that holds every write until `release`. */
function heldSink(): LogSink & { readonly written: string[]; release(error?: Error): void } {
  const written: string[] = [];
  let done: ((error?: Error) => void) | undefined;
  return {
    written,
    write: (bytes, onDone) => {
      expect(done, 'one write at a time').to.equal(undefined);
      const taken = bytes.toString();
      done = (error) => {
        if (error === undefined) written.push(taken);
        onDone(error);
      };
    },
    writeNow: (bytes) => void written.push(`now: ${bytes.toString()}`),
    release: (error) => {
      const call = done;
      done = undefined;
      call?.(error);
    },
  };
}

const writerTo = (sink: LogSink): LineWriter => new LineWriter(sink, new ByteBudget(LIMITS.logBytes));

describe('line writer', () => {
  it('writes lines that arrive during a write with the next one', () => {
    const sink = heldSink();
    const writer = writerTo(sink);
    for (const line of ['a\n', 'b\n', 'é\n']) writer.addLog(line);
    sink.release();
    sink.release();
    expect(sink.written).to.deep.equal(['a\n', 'b\né\n']);
  });

  it('keeps lines of requests that were not allowed longer than those of allowed ones, and log lines longest', () => {
    const writer = writerTo(heldSink());
    const line = `${'x'.repeat(64 * 1024 - 1)}\n`;
    const before = { ...LOST_LINES };
    const lostBy = (): readonly number[] => [LOST_LINES.access - before.access, LOST_LINES.log - before.log];

    writer.addLog('first\n');
    for (let at = 0; at < 100; at += 1) writer.addAccess(line, 4);
    const ofAllowed = lostBy();
    for (let at = 0; at < 100; at += 1) writer.addAccess(line, 24);
    const ofOthers = lostBy();
    for (let at = 0; at < 100; at += 1) writer.addLog(line);

    expect(ofAllowed).to.deep.equal([100 - 6, 0]);
    expect(ofOthers).to.deep.equal([100 - 6 + 100 - 40, 0]);
    expect(lostBy()).to.deep.equal([100 - 6 + 100 - 40, 100 - 16]);
  });

  it('counts the lines of a failed write, goes on with the next and reports them in the log', () => {
    const sink = heldSink();
    const writer = writerTo(sink);
    const before = LOST_LINES.log;
    writer.addLog('a\n');
    writer.addLog('b\n');
    writer.addLog('c\n');
    sink.release(new Error('ENOSPC'));
    sink.release();
    sink.release();
    expect(LOST_LINES.log - before).to.equal(1);
    expect(sink.written[0]).to.equal('b\nc\n');
    expect(JSON.parse(sink.written[1] ?? '')).to.include({ component: 'log', lines: 1 });
  });

  it('drops a line that is too long for any buffer, and writes one that is longer than a usual buffer', () => {
    const sink = heldSink();
    const writer = writerTo(sink);
    const before = LOST_LINES.log;
    writer.addLog(`${'x'.repeat(1024 * 1024)}\n`);
    writer.addLog(`${'y'.repeat(200 * 1024)}\n`);
    sink.release();
    expect(LOST_LINES.log - before).to.equal(1);
    expect(sink.written.map((text) => text.length)).to.deep.equal([200 * 1024 + 1]);
  });

  it('keeps a number of bytes, however long the lines are', () => {
    const writer = writerTo(heldSink());
    const before = LOST_LINES.log;
    for (let at = 0; at < 10; at += 1) writer.addLog(`${'x'.repeat(1024 * 1024 - 1)}\n`);
    expect(LOST_LINES.log - before).to.equal(10 - LIMITS.logBytes.value / (1024 * 1024));
  });

  it('hands what is left to the system when the process ends', () => {
    const sink = heldSink();
    const writer = writerTo(sink);
    writer.addLog('being written\n');
    writer.addLog('fatal\n');
    writer.flushNow();
    expect(sink.written).to.deep.equal(['now: fatal\n']);
  });

  it('resolves every flush when everything is written', async () => {
    const sink = heldSink();
    const writer = writerTo(sink);
    writer.addLog('a\n');
    const flushes = [writer.flush(), writer.flush()];
    sink.release();
    await Promise.all(flushes);
    expect(sink.written).to.deep.equal(['a\n']);
  });

  it('does not wait again for a reader that has not read since the last flush', async () => {
    const writer = writerTo(heldSink());
    writer.addLog('a\n');
    await writer.flush();
    let isDone = false;
    void writer.flush().then(() => (isDone = true));
    await Promise.resolve();
    await Promise.resolve();
    expect(isDone).to.equal(true);
  });
});

describe('log sink', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-sink-'));
  after(() => rmSync(directory, { recursive: true }));

  it('writes to files, also immediately', async () => {
    const path = join(directory, 'log');
    const fd = openSync(path, 'w');
    const sink = openLogSink(fd);
    const error = await new Promise((resolve) => sink.write(Buffer.from('one\n'), resolve));
    sink.writeNow(Buffer.from('two\n'));
    closeSync(fd);
    expect(error).to.equal(null);
    expect(readFileSync(path, 'utf8')).to.equal('one\ntwo\n');
  });

  it('reports a full disk', async () => {
    const fd = openSync('/dev/full', 'w');
    const sink = openLogSink(fd);
    const error = await new Promise((resolve) => sink.write(Buffer.from('one\n'), resolve));
    sink.writeNow(Buffer.from('two\n'));
    closeSync(fd);
    expect(error).to.have.property('code', 'ENOSPC');
  });
});
