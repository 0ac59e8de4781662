/*
 * Generates values of policies by field; admission accepts nearly all of them.
 */
import type { Draw } from './draw.ts';
import { ipValue, pathValue, stringValue } from './values.ts';
import { FORWARDED, HOSTS, IPS, METHODS, PATHS, PRINCIPALS } from './vocabulary.ts';

export interface PolicyScope {
  readonly namespace: string;
  readonly rootNamespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ip: string;
  readonly ports: readonly number[];
  /** Values of the tokens of the case. */
  readonly issuers: readonly string[];
  readonly subjects: readonly string[];
  readonly claims: readonly string[];
  /** Names of ext_authz providers; empty: no CUSTOM. */
  readonly providers: readonly string[];
  /** Mostly attributes that a TCP connection has. */
  readonly tcp: boolean;
}

/** Draws one value for a field. */
export type Make = (draw: Draw, scope: PolicyScope) => string;

const bare = (principal: string): string => (principal.split(',')[0] ?? '').replace('spiffe://', '');
export const accounts: Make = (draw) =>
  draw.pick(['a', 'default', 'web', 'foo/a', 'bar/a', 'prod-1/web', 'foo/default', 'foo/b', 'prod/b', 'FOO/A', 'foo/sa']);
export const namespaces: Make = (draw) =>
  draw.pick([
    'foo',
    'bar',
    'prod',
    'prod-1',
    'prod*',
    '*-1',
    '*',
    'p*1',
    'fo',
    'f*o',
    'oo',
    '*o*',
    'FOO',
    'f.o',
    'ns',
    'foo/sa',
    '*foo*',
    '**',
    'sa',
    'prod-*',
  ]);
/** Principals with a pattern for the trust domain, which aliases may extend. */
const WIDE_PRINCIPALS = ['*-td', 'old*', '*', 'td*', '*local', 'cluster.*'].flatMap((domain) => [
  `${domain}/ns/foo/sa/a`,
  `${domain}/ns/bar/sa/*`,
]);
export const principals: Make = (draw) => (draw.chance(0.1) ? draw.pick(WIDE_PRINCIPALS) : stringValue(draw, bare(draw.pick(PRINCIPALS))));
export const domains: Make = (draw) =>
  draw.pick([
    'cluster.local',
    'td1',
    'old-td',
    'other-td',
    '*',
    'cluster*',
    '*.local',
    '*td',
    'td*',
    'clusterxlocal',
    'CLUSTER.local',
    'cluster.loca',
    '*-td',
    'td',
  ]);
export const requestPrincipals: Make = (draw, { issuers, subjects }) => stringValue(draw, `${draw.pick(issuers)}/${draw.pick(subjects)}`);
export const ips: Make = (draw, { ip }) => ipValue(draw, draw.pick([...IPS, ip]));
export const remoteIps: Make = (draw) =>
  ipValue(
    draw,
    draw.pick(
      draw.chance(0.7) ? IPS : FORWARDED.filter((text) => /^[0-9.]+$|^[0-9a-fA-F:]+$/.test(text) && text.length > 6 && !/\.0\d/.test(text)),
    ),
  );
export const ports: Make = (draw, scope) => draw.pick([...scope.ports.map(String), '8080', '80', '0', '65535', '08080']);
export const hosts: Make = (draw) => stringValue(draw, draw.pick(HOSTS.filter((host) => host.length > 1)));
export const methods: Make = (draw) => stringValue(draw, draw.pick(METHODS));
export const paths: Make = (draw) => pathValue(draw, draw.pick(PATHS));
