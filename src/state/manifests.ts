/*
 * Parses manifest files into Kubernetes objects with their positions. Lists are flattened. A caller that applies objects must apply none of
 * a file that has findings, so that part of a file is never applied.
 */

import { readJsonObject } from '../api/kube/json-text.ts';
import { misspeltPolicy } from '../api/kube/misspelt-policy.ts';
import { plainValue } from '../api/kube/plain-value.ts';
import { parseYamlDocuments, type ScalarTag, type YamlDocuments, type YamlOptions } from '../api/kube/yaml-documents.ts';
import type { Finding } from '../errors.ts';

/** A Kubernetes object as it was written; only the members listed here are validated. */
export interface KubeManifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

/** Where an object starts; `line` is 1-based. */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

/** An object and where it was written. */
export interface ManifestObject {
  readonly object: KubeManifest;
  readonly origin: Origin;
}

/** A finding about a file; `path` is a path inside the object, `''` when the finding concerns no object. */
export interface ManifestFinding extends Finding {
  readonly origin: Origin;
}

/** The content of one file: its valid objects, and findings of severity error. */
export interface ParsedManifests {
  readonly objects: readonly ManifestObject[];
  readonly findings: readonly ManifestFinding[];
}

const MAX_NAME = 253;
const MAX_SHOWN = 40;
// oxlint-disable-next-line no-control-regex -- no name of a file has these
const NOT_IN_SEGMENT = /[\0/%]/;
const TEST_FILE = /\.sallyport-test\.ya?ml$/;

/** Whether the file is a table of policy tests, which may be in a directory of manifests but is not a manifest. */
export function isTestFile(name: string): boolean {
  return TEST_FILE.test(name);
}

/** Whether the file is one that Kustomize reads, by its name. */
export function isKustomizationFile(name: string): boolean {
  return /(^|\/)(kustomization\.ya?ml|Kustomization)$/.test(name);
}

/** A word that kubectl, which reads YAML 1.1, takes for a boolean. */
const BOOLEAN_WORD: ScalarTag = {
  identify: (value) => typeof value === 'boolean',
  default: true,
  tag: 'tag:yaml.org,2002:bool',
  test: /^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/,
  resolve: (text) => /^(?:y|on)/i.test(text),
};
/** What kubectl accepts beyond YAML 1.2. */
const KUBECTL_YAML: YamlOptions = { merge: true, customTags: (tags) => [BOOLEAN_WORD, ...tags] };

/**
 * Parses every document of `text`, except empty ones.
 *
 * @param text YAML or JSON
 * @param file name in origins and findings
 * @param onSyntaxTree called with what the text was parsed to, unless it is one JSON object
 */
export function parseManifests(text: string, file: string, onSyntaxTree: (yaml: YamlDocuments) => void = () => undefined): ParsedManifests {
  const findings: ManifestFinding[] = [];
  const objects: ManifestObject[] = [];
  const json = readJsonObject(text);
  if (json !== undefined) {
    takeValue(json.value, { file, line: text.slice(0, json.offset).split('\n').length }, { objects, findings });
    return { objects, findings };
  }
  const yaml = parseYamlDocuments(text, KUBECTL_YAML);
  onSyntaxTree(yaml);
  const { documents, lineCounter, errorText } = yaml;
  for (const document of documents) {
    const line = lineCounter.linePos(document.contents?.range?.[0] ?? document.range[0]).line;
    const error = document.errors[0];
    if (error !== undefined) {
      const errorLine = error.pos[0] < 0 ? line : lineCounter.linePos(error.pos[0]).line;
      findings.push(manifestError({ file, line: errorLine }, errorText(error)));
      continue;
    }
    try {
      takeValue(plainValue(document), { file, line }, { objects, findings });
    } catch (error) {
      findings.push(manifestError({ file, line }, error instanceof Error ? error.message : String(error)));
    }
  }
  return { objects, findings: HELM_ACTION.test(text) ? findings.map(withHelmHint) : findings };
}

/** An action of a Helm template, which is not YAML, or is YAML with another meaning. */
const HELM_ACTION = /\{\{-? *[.$\w]/;

function withHelmHint(finding: ManifestFinding): ManifestFinding {
  return { hint: 'a template of Helm has to be rendered first: helm template … | sallyport check -', ...finding };
}

/** A finding of severity error about a position in a file. */
export function manifestError(origin: Origin, message: string, hint?: string): ManifestFinding {
  return { code: 'SP_MANIFEST', severity: 'error', path: '', message, origin, ...(hint === undefined ? {} : { hint }) };
}

function takeValue(value: unknown, origin: Origin, into: { objects: ManifestObject[]; findings: ManifestFinding[] }): void {
  if (value === null || value === undefined) return;
  if (!isRecord(value)) {
    const hint = Array.isArray(value) ? 'put the objects below items of a List, or separate them by ---' : undefined;
    into.findings.push(manifestError(origin, 'not a Kubernetes object: a mapping with apiVersion, kind and metadata is expected', hint));
    return;
  }
  if (Array.isArray(value['items']) && typeof value['kind'] === 'string' && value['kind'].endsWith('List')) {
    for (const item of value['items']) takeValue(itemOf(value['kind'], value['apiVersion'], item), origin, into);
    return;
  }
  if (isKustomization(value, origin.file)) return;
  const reason = whyNotAnObject(value);
  if (reason !== '') {
    into.findings.push(manifestError(origin, reason));
    return;
  }
  const object = value as unknown as KubeManifest;
  const misspelt = misspeltPolicy(object);
  if (misspelt === undefined) into.objects.push({ object, origin });
  else into.findings.push({ ...misspelt, origin });
}

/** Items of a typed list, as the API server returns it, have the kind of the list if they have none. */
function itemOf(listKind: string, apiVersion: unknown, item: unknown): unknown {
  if (listKind === 'List' || !isRecord(item) || item['kind'] !== undefined) return item;
  return { apiVersion, kind: listKind.slice(0, -'List'.length), ...item };
}

/** The file of Kustomize is for the program, and no object of a cluster. It needs neither apiVersion nor kind. */
function isKustomization({ apiVersion, kind }: Readonly<Record<string, unknown>>, file: string): boolean {
  if (typeof apiVersion === 'string' && apiVersion.startsWith('kustomize.config.k8s.io/')) return true;
  return isKustomizationFile(file) && (kind === undefined || kind === 'Kustomization' || kind === 'Component');
}

function whyNotAnObject(value: Readonly<Record<string, unknown>>): string {
  if (typeof value['apiVersion'] !== 'string') return 'apiVersion is missing';
  if (typeof value['kind'] !== 'string') return 'kind is missing';
  const metadata = value['metadata'];
  if (!isRecord(metadata) || typeof metadata['name'] !== 'string' || metadata['name'] === '') return 'metadata.name is missing';
  const { name, namespace } = metadata;
  if (namespace !== undefined && typeof namespace !== 'string') return 'metadata.namespace is not a string';
  if (!isSegment(name)) return `metadata.name ${shown(name)} is not a name`;
  if (namespace !== undefined && !isSegment(namespace)) return `metadata.namespace ${shown(namespace)} is not a name`;
  return '';
}

function shown(name: string): string {
  return JSON.stringify(name.length > MAX_SHOWN ? `${name.slice(0, MAX_SHOWN)}…` : name);
}

/** As the API server demands of every name: it is a segment of a path. `sallyport run` uses names for files, too. */
function isSegment(name: string): boolean {
  return name.length <= MAX_NAME && name !== '.' && name !== '..' && !NOT_IN_SEGMENT.test(name);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
