/*
 * The policies in a published bundle, so that explain and diff can evaluate exactly what an agent has.
 */
import { workloadKey } from '../../api/kube/keys.ts';
import { BUNDLE_DIGEST_KEY, BUNDLE_KEY } from '../../api/kube/names.ts';
import { parseYamlDocuments } from '../../api/kube/yaml-documents.ts';
import type { Bundle } from '../../bundle/bundle.ts';
import { canonicalJson } from '../../bundle/canonical-json.ts';
import { decodeBundle, parseBundle } from '../../bundle/decode.ts';
import { digestOf } from '../../bundle/digest.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { type BundleOrigin, withBundleKeys } from './bundle-keys.ts';
import type { KeySetOf } from './key-sets.ts';
import type { PolicySet } from './policy-set.ts';
import { chooseTarget, unknownWorkload } from './policy-target.ts';
import { parseJson } from './read-file.ts';
import { jsonOfStatement, readSlotConfigMaps, type SlotConfigMap, slotsOf, statementsIn, workloadOfStatement } from './slot-config-maps.ts';
import { resolveWorkload } from './workload-argument.ts';

/** Of what `compile -o json` prints. */
const OUTPUT_GROUP = 'cli.sallyport.dev/';

/** Whether the JSON in `text` is a bundle, not a manifest or a List as kubectl prints it. @throws CommandError when it is not JSON */
export function isBundleJson(text: string, file: string): boolean {
  const value = parseJson(text, file);
  if (!isObject(value)) return false;
  const { apiVersion, kind } = value;
  return typeof apiVersion !== 'string' || kind === 'ConfigMap' || apiVersion.startsWith(OUTPUT_GROUP);
}

/**
 * The policies in the text of a bundle: as `compile -o json` prints it, its ConfigMap, or the bundle itself.
 * @param keySetOf keys of rules that the bundle has no keys for
 * @throws CommandError or RefusedError when the text is not a bundle
 */
export function policySetOfBundle(text: string, file: string, keySetOf: KeySetOf): PolicySet {
  const json = text.trimStart().startsWith('{') ? parseJson(text, file) : undefined;
  const slots = json === undefined ? readSlotConfigMaps(text, file) : slotsOf(json);
  const plain = slots.length === 0 ? (json ?? firstDocument(text)) : undefined;
  const bundle = slots.length === 0 ? decodeBundle(bundleFiles(plain, file)).bundle : bundleOfSlots(slots, file);
  return policySetOfDecoded(bundle, { keySetOf, isPublished: slots.length > 0 || (isObject(plain) && plain['kind'] === 'ConfigMap') });
}

/** The policies in a bundle. @param origin where it is from, and keys of rules that it has no keys for */
export function policySetOfDecoded(bundle: Bundle, origin: BundleOrigin): PolicySet {
  const known = workloadKey(bundle.workload);
  return {
    workloads: [known],
    policies: undefined,
    rootNamespace: '',
    findings: [],
    target(workload, labels) {
      if (workloadKey(resolveWorkload(workload, [known])) !== known) throw unknownWorkload(workload, [known]);
      return withBundleKeys(chooseTarget(bundle, labels), origin);
    },
    compiledFindings: () => [],
    labelSets: () => bundle.variants.map(({ labels }) => labels),
    notApplied: () => [],
    servicePort: () => undefined,
    ownPort: () => undefined,
    locate: () => undefined,
  };
}

/** The newest bundle in the ConfigMaps of one workload. Its signature is not verified: `sallyport bundle verify` does that. */
function bundleOfSlots(slots: readonly SlotConfigMap[], file: string): Bundle {
  const [newest] = statementsIn(slots);
  if (newest === undefined) throw new CommandError(EXIT_BAD_DATA, `${file}: the ConfigMap has no signed statement`);
  return parseBundle(jsonOfStatement(newest, slots), workloadOfStatement(newest));
}

/** The files that an agent would find in its volume. */
function bundleFiles(value: unknown, file: string): Record<string, Uint8Array> {
  if (!isObject(value)) throw new CommandError(EXIT_BAD_DATA, `${file}: not a bundle`);
  if (value['kind'] === 'ConfigMap') {
    const plain = entriesOf(value['data']).map(([key, part]) => [key, Buffer.from(String(part))] as const);
    const binary = entriesOf(value['binaryData']).map(([key, part]) => [key, Buffer.from(String(part), 'base64')] as const);
    return Object.fromEntries([...plain, ...binary]);
  }
  const compiled = value['kind'] === 'Bundles' ? onlyItem(value['items'], file) : value;
  const json = canonicalJson(isObject(compiled['bundle']) ? compiled['bundle'] : compiled);
  return { [BUNDLE_KEY]: Buffer.from(json), [BUNDLE_DIGEST_KEY]: Buffer.from(digestOf(json)) };
}

function onlyItem(items: unknown, file: string): Readonly<Record<string, unknown>> {
  const list: readonly unknown[] = Array.isArray(items) ? items : [];
  const [only] = list;
  if (list.length === 1 && isObject(only)) return only;
  throw new CommandError(EXIT_BAD_DATA, `${file}: holds ${list.length} bundles: compile one with --workload`);
}

function firstDocument(text: string): unknown {
  const [first] = parseYamlDocuments(text).documents;
  return first?.errors.length === 0 ? first.toJS() : undefined;
}

function entriesOf(value: unknown): readonly (readonly [string, unknown])[] {
  return isObject(value) ? Object.entries(value) : [];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
