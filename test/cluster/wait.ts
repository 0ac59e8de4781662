/*
 * Polls a condition of a cluster instead of sleeping; fails with the log when a program that must stay alive exits.
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint, KeyPairPaths } from './certificates.ts';
import type { Running } from './process.ts';
import { tailOf } from './process.ts';

const pollMs = 50;
const timeoutMs = 120_000;

/**
 * Waits until `isTrue` returns true, polling every 50 ms for at most two minutes.
 * @param what for the error message: what was waited for
 * @throws Error when one of `programs` ends first or time is up, with the end of their logs
 */
export async function waitFor(
  what: string,
  programs: readonly Running[],
  isTrue: () => Promise<boolean>,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await isTrue())) {
    signal?.throwIfAborted();
    const dead = programs.find((program) => program.exited());
    if (dead) throw new Error(`${dead.name} ended while waiting for ${what}:\n${tailOf(dead.logPath)}`);
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s for ${what}\n${logsOf(programs)}`);
    await sleep(pollMs, undefined, signal ? { signal } : {});
  }
}

function logsOf(programs: readonly Running[]): string {
  return programs.map((program) => `--- ${program.name}\n${tailOf(program.logPath)}`).join('\n');
}

/** Whether a GET of `path` with this client certificate returns 200; false also while no server listens. */
export async function isReady(endpoint: Endpoint, pair: KeyPairPaths, path: string): Promise<boolean> {
  return (await getText(endpoint, pair, path)) !== undefined;
}

/** Body of a GET of `path` that returns 200; absent for any other response, and without one. */
export function getText(endpoint: Endpoint, pair: KeyPairPaths, path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = {
      ca: readFileSync(endpoint.caPath),
      cert: readFileSync(pair.certPath),
      key: readFileSync(pair.keyPath),
      agent: false,
      timeout: 2000,
    } as const;
    const get = request(endpoint.url + path, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => resolve(undefined));
      response.on('end', () => resolve(response.statusCode === 200 ? Buffer.concat(chunks).toString() : undefined));
    });
    get.on('error', () => resolve(undefined));
    get.on('timeout', () => get.destroy());
    get.end();
  });
}

/** Ports that were free on loopback just now, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  // All are held at the same time; otherwise the kernel might assign the same one twice.
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
