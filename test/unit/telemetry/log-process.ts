/*
 * A process that logs to stdout as the first argument says, for tests of slow and absent readers. Reports to its parent over IPC.
 */
import { createServer } from 'node:net';
import { flushLogs, LOST_LINES } from '../../../src/telemetry/line-writer.ts';
import { createLogger, exitOnUncaught } from '../../../src/telemetry/logger.ts';

const LINES = 1000;
const text = 'x'.repeat(10_000);
const logger = createLogger({ level: 'info', component: 'test' });
const send = (message: object): void => void process.send?.(message);

/** More than pipe and buffers hold together. */
function logALot(): void {
  for (let at = 0; at < LINES; at += 1) logger.info({ at, text }, 'line');
}

async function waitFor(message: string): Promise<void> {
  await new Promise<void>((resolve) => {
    process.on('message', (received) => {
      if (received === message) resolve();
    });
  });
}

switch (process.argv[2]) {
  case 'go-on': {
    logALot();
    // The event loop still runs: a server accepts and timers fire.
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    server.close();
    send({ lost: LOST_LINES.log });
    await waitFor('end');
    await flushLogs();
    process.exit(0);
  }
  case 'flush': {
    logALot();
    await flushLogs();
    await flushLogs();
    process.exit(3);
  }
  case 'throw': {
    exitOnUncaught(logger);
    logALot();
    setImmediate(() => {
      throw new Error('nothing catches this');
    });
    break;
  }
  case 'absent-reader': {
    await waitFor('reader is gone');
    for (let round = 0; round < 5; round += 1) {
      logger.info({ round }, 'line');
      await flushLogs();
    }
    send({ lost: LOST_LINES.log });
    await waitFor('end');
    process.exit(0);
  }
  default:
    process.exit(2);
}
