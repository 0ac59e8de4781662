/*
 * The configuration of the program that sets the redirects of the pods of a node, from its environment.
 */
import { isAbsolute } from 'node:path';
import { RefusedError } from '../errors.ts';
import type { LogFormat, LogLevel } from '../telemetry/logger.ts';

/** All settings, checked. */
export interface NodeConfig {
  readonly nodeName: string;
  readonly netnsDirectory: string;
  /** Address on which health and metrics are served. */
  readonly httpHost: string;
  readonly httpPort: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Absent: `$KUBECONFIG`, or else the ServiceAccount of the pod. */
  readonly kubeconfig?: string;
}

const LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];
const FORMATS: readonly LogFormat[] = ['json', 'text'];

/** Reads the settings. @throws RefusedError SP_CONFIG that names the first invalid variable */
export function loadNodeConfig(env: Readonly<Record<string, string | undefined>>): NodeConfig {
  const textOf = (name: string, fallback: string): string => {
    const text = env[name] ?? '';
    return text === '' ? fallback : text;
  };
  const choice = <T extends string>(name: string, allowed: readonly T[], fallback: T): T => {
    const text = textOf(name, fallback);
    return allowed.find((one) => one === text) ?? refuse(name, text, `one of ${allowed.join(', ')}`);
  };
  const nodeName = textOf('NODE_NAME', '');
  if (!/^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/.test(nodeName)) refuse('NODE_NAME', nodeName, 'the name of a node');
  const netnsDirectory = textOf('SALLYPORT_NETNS_DIR', '/var/run/netns');
  if (!isAbsolute(netnsDirectory)) refuse('SALLYPORT_NETNS_DIR', netnsDirectory, 'an absolute path');
  const port = textOf('SALLYPORT_HTTP_PORT', '8081');
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) refuse('SALLYPORT_HTTP_PORT', port, 'a port');
  const kubeconfig = textOf('SALLYPORT_KUBECONFIG', '');
  return {
    nodeName,
    netnsDirectory,
    httpHost: textOf('SALLYPORT_HTTP_HOST', '0.0.0.0'),
    httpPort: Number(port),
    logLevel: choice('SALLYPORT_LOG_LEVEL', LEVELS, 'info'),
    logFormat: choice('SALLYPORT_LOG_FORMAT', FORMATS, 'json'),
    ...(kubeconfig === '' ? {} : { kubeconfig }),
  };
}

function refuse(name: string, text: string, expected: string): never {
  throw new RefusedError('SP_CONFIG', `${name}: "${text}" is not ${expected}`);
}
