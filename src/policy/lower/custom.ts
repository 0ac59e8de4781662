/*
 * Lowers CUSTOM policies to steps: which ext_authz provider to call, and what to deny because its provider cannot be called.
 * @see istio pilot/pkg/security/authz/builder/{builder,extauthz}.go
 */
import type { AuthorizationPolicy } from '../../api/istio/resources.ts';
import type { ExtensionProvider, MeshConfig } from '../../api/mesh-config.ts';
import type { CustomStep, Rule } from '../model/program.ts';
import { compareBytes } from './order.ts';

const BAD_ACTION_SUFFIX = '-deny-due-to-bad-CUSTOM-action';
const MAX_NAME_LENGTH = 63;

/** Rules of one CUSTOM policy on one protocol. */
export interface CustomPolicy {
  readonly policy: AuthorizationPolicy;
  readonly dryRun: boolean;
  readonly rules: readonly Rule[];
}

/** Name of the provider of a policy; `''`: it names none. */
export function providerNameOf(policy: AuthorizationPolicy): string {
  return policy.spec.provider?.name ?? '';
}

/** Prefix of the ids of all rules of a provider. */
export function customIdPrefix(provider: string): string {
  return provider === '' ? 'istio-ext-authz-' : `istio-ext-authz-${provider}-`;
}

function isProviderName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name);
}

/** Mesh settings that decide whether a provider can be called. */
export interface ProviderSettings extends Pick<MeshConfig, 'extensionProviders' | 'multipleCustomProviders'> {
  /** Providers whose secrets must not be part of this bundle. Absent: none. */
  readonly withheldProviders?: readonly string[];
}

/** The provider to call, or why no provider can be called. The reason is part of the program, so its wording must not change. */
export function findProvider(name: string, distinctProviders: number, mesh: ProviderSettings): ExtensionProvider | string {
  if (distinctProviders > 1 && !mesh.multipleCustomProviders) return 'only one CUSTOM provider can be used per workload';
  if (!isProviderName(name)) return `invalid extension provider name ${JSON.stringify(name)}`;
  if (isWithheld(name, mesh)) return `header values of extension provider ${name} are not published to this namespace`;
  return mesh.extensionProviders.find((provider) => provider.name === name) ?? `unknown extension provider ${name}`;
}

/** Is the provider kept out of this bundle because of its secrets? */
export function isWithheld(name: string, { withheldProviders = [] }: ProviderSettings): boolean {
  return withheldProviders.includes(name);
}

/** What a provider that cannot be called means for requests, for users. @param refusal of {@link findProvider} */
export function describeRefusal(refusal: string): string {
  return `${refusal}; matching requests are denied`;
}

/**
 * Steps in byte order of the provider names. Rules of a provider that cannot be called deny what they match; its dry-run policies do
 * nothing, as in Istio.
 */
export function customSteps(policies: readonly CustomPolicy[], protocol: 'http' | 'tcp', mesh: ProviderSettings): readonly CustomStep[] {
  const names = [...new Set(policies.map(({ policy }) => providerNameOf(policy)))].sort(compareBytes);
  return names.flatMap((name) => {
    const own = policies.filter(({ policy }) => providerNameOf(policy) === name);
    const provider = findProvider(name, names.length, mesh);
    if (typeof provider === 'string') return [{ name, refusal: provider, rules: refusedRules(own.filter(({ dryRun }) => !dryRun)) }];
    if (protocol === 'tcp' && provider.protocol === 'http') return [];
    return callingSteps(name, provider, own);
  });
}

function rulesOf(policies: readonly CustomPolicy[]): readonly Rule[] {
  return policies.flatMap(({ rules }) => rules).sort((left, right) => compareBytes(left.id, right.id));
}

function refusedRules(policies: readonly CustomPolicy[]): readonly Rule[] {
  return rulesOf(policies).map((rule) => ({ ...rule, id: rule.id + BAD_ACTION_SUFFIX }));
}

/** A dry-run CUSTOM policy (which admission rejects) denies what it matches, as in Istio. */
function callingSteps(name: string, provider: ExtensionProvider, policies: readonly CustomPolicy[]): readonly CustomStep[] {
  const dryRuns = rulesOf(policies.filter(({ dryRun }) => dryRun));
  const enforced = policies.filter(({ dryRun }) => !dryRun);
  const steps: CustomStep[] = [];
  if (dryRuns.length > 0) steps.push({ name, refusal: 'CUSTOM does not support dry-run', rules: dryRuns });
  if (enforced.length > 0) steps.push({ name, provider, rules: rulesOf(enforced) });
  return steps;
}
