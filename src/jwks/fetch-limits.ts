/*
 * The limits of key fetches from the configuration, for the controller and for `sallyport run` alike.
 */
import { getCACertificates } from 'node:tls';
import { RefusedError } from '../errors.ts';
import { readRegularFile } from '../regular-file.ts';
import { createAddressGuard } from './address-guard.ts';
import type { FetchLimits } from './fetch-document.ts';
import { type Environment, proxiesOfEnvironment } from './forward-proxy.ts';

/** The part of the configuration that limits key fetches. */
export interface FetchSettings {
  readonly blockedCidrs: readonly string[];
  /** File of additional certificate authorities in PEM; absent: none. */
  readonly caFile?: string;
}

const MAX_JWKS_BYTES = 1024 * 1024;
const MAX_REDIRECTS = 5;
const MAX_CA_BYTES = 4 * 1024 * 1024;

/**
 * Limits with the authorities of Node.js and those of the file, and the forward proxy of the environment.
 * @throws RefusedError SP_CONFIG when the file cannot be read, or a variable does not name a proxy
 */
export async function readFetchLimits({ blockedCidrs, caFile }: FetchSettings, env: Environment = process.env): Promise<FetchLimits> {
  const proxyOf = proxiesOfEnvironment(env);
  const limits = {
    ...(proxyOf === undefined ? {} : { proxyOf }),
    guard: createAddressGuard(blockedCidrs),
    maxBytes: MAX_JWKS_BYTES,
    maxRedirects: MAX_REDIRECTS,
  };
  if (caFile === undefined) return limits;
  const authorities = await readRegularFile(caFile, MAX_CA_BYTES).catch((cause: unknown) => {
    throw new RefusedError('SP_CONFIG', `jwks.caFile: cannot read ${caFile}`, { cause });
  });
  return { ...limits, trustedCa: [...getCACertificates('default'), authorities] };
}
