/*
 * Resolves host names for key fetches. The controller asks its name servers itself: the system resolver takes a thread of the process's
 * pool until it gives up, so that names of one tenant that do not resolve would delay everything else.
 */
import { lookup } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { readRegularFile } from '../regular-file.ts';

/** One address of a host. */
export interface HostAddress {
  readonly address: string;
  /** 4 or 6. */
  readonly family: number;
}

/** Resolves a host name to its addresses until `signal` aborts. Rejects with an error with a code when it has none. */
export type ResolveHost = (hostname: string, signal: AbortSignal) => Promise<readonly HostAddress[]>;

/** Where a resolver gets its settings from. */
export interface ResolverFiles {
  readonly hosts: string;
  readonly resolvConf: string;
  /** Name servers as `address:port`; absent: those of the file. */
  readonly servers?: readonly string[];
}

const SYSTEM_FILES: ResolverFiles = { hosts: '/etc/hosts', resolvConf: '/etc/resolv.conf' };
const MAX_FILE_BYTES = 1024 * 1024;
/** As in glibc. */
const MAX_SEARCH_DOMAINS = 32;
const TRY_MS = 1_000;
const TRIES = 2;

/** Asks the system resolver. An abort does not end the search in the background. */
export const resolveBySystem: ResolveHost = (hostname, signal) =>
  new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new DOMException('aborted', 'AbortError'));
    signal.addEventListener('abort', onAbort, { once: true });
    lookup(hostname, { all: true }, (error, addresses) => {
      signal.removeEventListener('abort', onAbort);
      if (error === null) resolve(addresses);
      else reject(error);
    });
  });

/** A resolver that reads the files of the system once, and asks name servers as the system's resolver would. */
export async function createHostResolver(files: ResolverFiles = SYSTEM_FILES): Promise<ResolveHost> {
  const [hosts, settings] = await Promise.all([
    readRegularFile(files.hosts, MAX_FILE_BYTES).then(parseHosts, () => new Map<string, readonly HostAddress[]>()),
    readRegularFile(files.resolvConf, MAX_FILE_BYTES).then(parseResolvConf, () => parseResolvConf('')),
  ]);
  return async (hostname, signal) => {
    const name = hostname.toLowerCase();
    const known = hosts.get(name.replace(/\.$/, ''));
    if (known !== undefined) return known;
    let failure: unknown;
    for (const candidate of candidatesOf(name, settings)) {
      const answer = await ask(candidate, files.servers, signal);
      if ('addresses' in answer) return answer.addresses;
      failure = answer.failure;
    }
    throw failure;
  };
}

type Answer = { readonly addresses: readonly HostAddress[] } | { readonly failure: unknown };

async function ask(name: string, servers: readonly string[] | undefined, signal: AbortSignal): Promise<Answer> {
  signal.throwIfAborted();
  const resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
  if (servers !== undefined) resolver.setServers([...servers]);
  const onAbort = (): void => resolver.cancel();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const results = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    signal.throwIfAborted();
    const addresses = results.flatMap((result, at) =>
      result.status === 'fulfilled' ? result.value.map((address) => ({ address, family: at === 0 ? 4 : 6 })) : [],
    );
    const failed = results.find((result) => result.status === 'rejected');
    return addresses.length > 0 ? { addresses } : { failure: failed?.reason };
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

interface SearchSettings {
  readonly domains: readonly string[];
  readonly ndots: number;
}

/** The names to ask for, in order. @see resolv.conf(5): search, ndots */
function candidatesOf(name: string, { domains, ndots }: SearchSettings): readonly string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const searched = domains.map((domain) => `${name}.${domain}`);
  return name.split('.').length > ndots ? [name, ...searched] : [...searched, name];
}

function parseResolvConf(text: string): SearchSettings {
  let domains: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line.trim().split(/\s+/);
    if (keyword === 'search' || keyword === 'domain') domains = words;
    for (const option of keyword === 'options' ? words : []) {
      const count = Number(/^ndots:(\d{1,2})$/.exec(option)?.[1]);
      if (!Number.isNaN(count)) ndots = count;
    }
  }
  return {
    domains: domains
      .map((domain) => domain.replace(/\.$/, ''))
      .filter((domain) => domain !== '')
      .slice(0, MAX_SEARCH_DOMAINS),
    ndots,
  };
}

function parseHosts(text: string): ReadonlyMap<string, readonly HostAddress[]> {
  const found = new Map<string, readonly HostAddress[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    for (const name of family === 0 ? [] : names) {
      const key = name.toLowerCase();
      found.set(key, [...(found.get(key) ?? []), { address, family }]);
    }
  }
  return found;
}
