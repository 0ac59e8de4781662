/*
 * Writes to a file descriptor without blocking the event loop, whatever the descriptor is. A write to a pipe whose reader has stopped
 * never blocks a thread either: a blocked thread of the thread pool would prevent the process from ending.
 */
import { fstatSync, write, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';
import { LIMITS } from '../limits/agent-limits.ts';
import { startTimer } from '../limits/timers.ts';

/** Takes bytes for one file descriptor. */
export interface LogSink {
  /** Writes all bytes, then calls `done`; the buffer is in use until then. One write at a time. */
  write(bytes: Buffer, done: (error: Error | null | undefined) => void): void;
  /** Writes what the system takes immediately. For a process that is about to end. */
  writeNow(bytes: Buffer): void;
}

/** The sink of a file descriptor. */
export function openLogSink(fd: number): LogSink {
  const kind = fstatSync(fd);
  const isTerminal = isatty(fd);
  return kind.isFIFO() || kind.isSocket() || isTerminal ? streamSink(streamOf(fd), isTerminal) : fileSink(fd);
}

/** A second stream for stdout or stderr would conflict with the one of Node.js. */
function streamOf(fd: number): NodeJS.WriteStream | Socket {
  if (fd === 1) return process.stdout;
  return fd === 2 ? process.stderr : new Socket({ fd, readable: false, writable: true });
}

function streamSink(stream: NodeJS.WriteStream | Socket, isTerminal: boolean): LogSink {
  // The error reaches `done` as well.
  stream.on('error', () => {});
  if (isTerminal) makeNonBlocking(Reflect.get(stream, '_handle'));
  return {
    write: (bytes, done) => void stream.write(bytes, done),
    writeNow: (bytes) => void stream.write(bytes),
  };
}

/** Node.js makes terminals blocking, and a terminal may be paused (Ctrl-S). */
function makeNonBlocking(handle: unknown): void {
  if (typeof handle !== 'object' || handle === null) return;
  const setBlocking: unknown = Reflect.get(handle, 'setBlocking');
  if (typeof setBlocking === 'function') setBlocking.call(handle, false);
}

/** Regular files and devices. */
function fileSink(fd: number): LogSink {
  const writeFrom = (bytes: Buffer, start: number, done: (error: Error | null) => void): void => {
    write(fd, bytes, start, bytes.length - start, null, (error, written) => {
      if (error === null && start + written < bytes.length) writeFrom(bytes, start + written, done);
      else if (error?.code === 'EAGAIN') startTimer(LIMITS.logRetry, () => writeFrom(bytes, start, done));
      else done(error);
    });
  };
  return {
    write: (bytes, done) => writeFrom(bytes, 0, done),
    writeNow: (bytes) => {
      try {
        writeSync(fd, bytes);
      } catch {
        // Nothing is left that could report it.
      }
    },
  };
}
