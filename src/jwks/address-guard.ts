/*
 * Decides which addresses a key fetch may dial, and which of them are inside the cluster. A fetch asks about the address of every
 * connection, never about a host name.
 */
import ipaddr from 'ipaddr.js';
import { RefusedError } from '../errors.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Block = readonly [Address, number];
type Range = readonly [block: Block, reason: string];

/** Internal addresses that policies of some namespaces may name. */
export interface InternalSources {
  /** CIDR blocks or single addresses. */
  readonly cidrs: readonly string[];
  /** Absent: all namespaces. */
  readonly namespaces?: readonly string[];
}

/** What decides about an address. */
export interface GuardSettings {
  /** Addresses that are never dialled, in addition to the built-in ones. */
  readonly blockedCidrs: readonly string[];
  /** Addresses that count as inside the cluster, in addition to those that are not public. Absent: none. */
  readonly internalCidrs?: readonly string[];
  /** Which internal addresses may be dialled. Absent: all of them, for every namespace. */
  readonly internalSources?: readonly InternalSources[];
  /** The process serves only the user who started it: loopback may be dialled, and no address is kept from them. Absent: false. */
  readonly isLocal?: boolean;
}

/** What policies of one namespace may dial. */
export interface AddressGuard {
  /** Equal for namespaces with the same rights. */
  readonly scope: string;
  /** Why `address` must not be dialled; `undefined`: it may be dialled. A string that is not an IP address must not be dialled. */
  readonly refusalOf: (address: string) => string | undefined;
  /** Whether `address` is inside the cluster: authors of policies must not learn what is found there. */
  readonly isInternal: (address: string) => boolean;
  /** Nothing is internal, and nothing is kept from authors of policies. */
  readonly isLocal: boolean;
}

/** The guard of each namespace. */
export type AddressGuards = (namespace: string) => AddressGuard;

const LOOPBACK: readonly Range[] = ['127.0.0.0/8', '::1/128'].map((cidr) => [parseBlock(cidr), 'loopback']);
const ALWAYS: readonly Range[] = [
  // Linux connects to this machine for these, too.
  ['0.0.0.0/8', 'unspecified'],
  ['::/128', 'unspecified'],
  ['169.254.0.0/16', 'link-local'],
  ['fe80::/10', 'link-local'],
  ['224.0.0.0/4', 'multicast'],
  ['ff00::/8', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
  // Gateways decide where these lead.
  ['64:ff9b:1::/48', 'NAT64 of the local network'],
  ['2001::/32', 'Teredo'],
  // Metadata and platform services of clouds that are not link-local: Azure, Alibaba, Oracle, AWS, Google, Scaleway, Akamai.
  ['168.63.129.16', 'metadata service'],
  ['100.100.100.200', 'metadata service'],
  ['fd00:100::100:200', 'metadata service'],
  ['192.0.0.192', 'metadata service'],
  ['fd00:c1::a9fe:a9fe', 'metadata service'],
  ['fd00:ec2::/32', 'metadata service'],
  ['fd20:ce::254', 'metadata service'],
  ['fd00:42::42', 'metadata service'],
  ['fd00:a9fe:a9fe::1', 'metadata service'],
].map(([cidr = '', reason = '']) => [parseBlock(cidr), reason]);

const GLOBAL_V6 = parseBlock('2000::/3');

/** IPv6 prefixes that hold an IPv4 address, and the byte at which it begins. */
const EMBEDDING: readonly (readonly [block: Block, at: number])[] = [
  [parseBlock('::/96'), 12],
  [parseBlock('::ffff:0:0/96'), 12],
  [parseBlock('::ffff:0:0:0/96'), 12],
  [parseBlock('64:ff9b::/96'), 12],
  [parseBlock('2002::/16'), 2],
];
/** Interface identifiers of ISATAP; the IPv4 address follows. */
const ISATAP: ReadonlySet<string> = new Set(['00005efe', '02005efe']);

/**
 * Guards that forbid loopback, unspecified, link-local, multicast and metadata addresses, also where an IPv6 address embeds them, and
 * what the settings forbid.
 *
 * @throws RefusedError SP_CONFIG if a setting is neither a CIDR block nor an IP address
 */
export function createAddressGuards(settings: GuardSettings): AddressGuards {
  const { isLocal = false, internalSources } = settings;
  const never: readonly Range[] = [
    ...(isLocal ? [] : LOOPBACK),
    ...ALWAYS,
    ...settings.blockedCidrs.map((cidr): Range => [parseBlock(cidr), `in blocked range ${cidr}`]),
  ];
  const internal = (settings.internalCidrs ?? []).map(parseBlock);
  const sources = (isLocal ? undefined : internalSources)?.map(({ cidrs, namespaces }) => ({ blocks: cidrs.map(parseBlock), namespaces }));
  const isInternal = (address: Address): boolean => !isPublic(address) || contains(internal, address);
  const guards = new Map<string, AddressGuard>();
  return (namespace) => {
    const own = sources?.filter(({ namespaces }) => namespaces === undefined || namespaces.includes(namespace));
    const scope = own === undefined || sources === undefined ? '' : own.map((source) => sources.indexOf(source)).join(',');
    const known = guards.get(scope);
    if (known !== undefined) return known;
    const created = createGuard({ never, isInternal, allowed: own?.flatMap(({ blocks }) => blocks), scope, isLocal });
    guards.set(scope, created);
    return created;
  };
}

interface Rights extends Pick<AddressGuard, 'scope' | 'isLocal'> {
  readonly never: readonly Range[];
  readonly isInternal: (address: Address) => boolean;
  /** Internal addresses that may be dialled; `undefined`: all. */
  readonly allowed: readonly Block[] | undefined;
}

function createGuard({ never, isInternal, allowed, scope, isLocal }: Rights): AddressGuard {
  const refusalOf = (candidate: string): string | undefined => {
    if (!ipaddr.isValid(candidate)) return 'not an IP address';
    const address = ipaddr.parse(candidate);
    const target = embeddedIn(address) ?? address;
    const found = never.find(([block]) => contains([block], address) || contains([block], target));
    if (found !== undefined) return found[1];
    if (allowed === undefined || !isInternal(target) || contains(allowed, target)) return undefined;
    return 'inside the cluster and not in jwks.internalSources for this namespace';
  };
  return {
    scope,
    isLocal,
    refusalOf,
    isInternal: (candidate) => {
      if (isLocal) return false;
      if (refusalOf(candidate) !== undefined) return true;
      const address = ipaddr.parse(candidate);
      return isInternal(embeddedIn(address) ?? address);
    },
  };
}

function contains(blocks: readonly Block[], address: Address): boolean {
  return blocks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
}

/** Is it an address that the internet routes to one place? */
function isPublic(address: Address): boolean {
  return address.range() === 'unicast' && (address.kind() === 'ipv4' || contains([GLOBAL_V6], address));
}

/** The IPv4 address that a router or the kernel translates an IPv6 address to. */
function embeddedIn(address: Address): Address | undefined {
  if (address instanceof ipaddr.IPv4) return undefined;
  const bytes = address.toByteArray();
  if (LOOPBACK.some(([block]) => contains([block], address))) return undefined;
  const at = EMBEDDING.find(([block]) => contains([block], address))?.[1];
  if (at !== undefined) return new ipaddr.IPv4(bytes.slice(at, at + 4));
  return ISATAP.has(Buffer.from(bytes.slice(8, 12)).toString('hex')) ? new ipaddr.IPv4(bytes.slice(12)) : undefined;
}

function parseBlock(cidr: string): Block {
  try {
    return ipaddr.parseCIDR(cidr.includes('/') ? cidr : `${cidr}/${ipaddr.parse(cidr).kind() === 'ipv4' ? 32 : 128}`);
  } catch (cause) {
    throw new RefusedError('SP_CONFIG', `"${cidr}" is not a CIDR block or IP address`, { cause });
  }
}
