/*
 * docs/reference/annotations.md: every label and annotation of src/api/kube/names.ts, with who writes it and what for. A name
 * that is missing here fails the generator.
 */
import * as names from '../../src/api/kube/names.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

type LabelName = { [K in keyof typeof names]: K extends `${string}_${'LABEL' | 'ANNOTATION'}` ? K : never }[keyof typeof names];

/** A copy, to look names up by their constant. */
const nameByConstant: typeof names = { ...names };

interface Row {
  readonly on: string;
  readonly value: string;
  readonly meaning: string;
}

const WRITTEN_BY_YOU: Partial<Record<LabelName, Row>> = {
  INJECTION_LABEL: {
    on: 'label of a Namespace or a pod template',
    value: '`enabled`, `disabled`',
    meaning: 'On a Namespace `enabled` gives its new pods an agent; on a pod template `disabled` refuses it.',
  },
  INCLUDE_PORTS_ANNOTATION: {
    on: 'pod template',
    value: 'ports, comma-separated',
    meaning: 'Captured besides the container ports that the pod declares.',
  },
  EXCLUDE_PORTS_ANNOTATION: {
    on: 'pod template',
    value: 'ports, comma-separated',
    meaning: 'Never captured: requests to them reach the application unjudged.',
  },
  REWRITE_PROBES_ANNOTATION: {
    on: 'pod template',
    value: '`false`',
    meaning: 'Leaves probes as they are; they then come through the agent, and policies apply to them.',
  },
  UPSTREAM_ANNOTATION: {
    on: 'workload in `sallyport run`',
    value: '`host:port`',
    meaning: 'Where the application listens; gives the workload an agent.',
  },
  LISTEN_ANNOTATION: {
    on: 'workload in `sallyport run`',
    value: '`host:port`',
    meaning: 'Where the agent takes requests; absent: a free loopback port.',
  },
  DRY_RUN_ANNOTATION: {
    on: 'AuthorizationPolicy',
    value: '`true`, `false`',
    meaning: "Istio's: with `true` the policy is evaluated and logged, and decides nothing.",
  },
};

const WRITTEN_BY_US: Partial<Record<LabelName, Row>> = {
  AGENT_ANNOTATION: { on: 'pod', value: 'JSON', meaning: 'What injection did; its presence says that the pod has an agent.' },
  BUNDLE_TOUCH_ANNOTATION: {
    on: 'pod',
    value: 'digest',
    meaning: 'Set by the controller after a change, so that the kubelet refreshes the mounted bundle at once.',
  },
  BUNDLE_LABEL: { on: "label of a bundle's ConfigMap", value: '', meaning: 'Marks the ConfigMaps that the controller owns.' },
  WORKLOAD_LABEL: {
    on: "label of a bundle's ConfigMap",
    value: 'name',
    meaning: 'The workload; shortened with a hash when over 63 characters.',
  },
  MANAGED_BY_LABEL: {
    on: "label of a bundle's ConfigMap",
    value: code(names.MANAGED_BY),
    meaning: 'As the recommended labels of Kubernetes have it.',
  },
  DIGEST_ANNOTATION: { on: "bundle's ConfigMap", value: '`sha256:…`', meaning: 'Digest of the bundle.' },
};

const READ_ONLY: Partial<Record<LabelName, Row>> = {
  GATEWAY_NAME_LABEL: {
    on: 'label of a pod',
    value: 'name',
    meaning: 'The pod belongs to this Gateway; policies reach it by `targetRefs`.',
  },
};

export function annotationsPage(): string {
  const known = { ...WRITTEN_BY_YOU, ...WRITTEN_BY_US, ...READ_ONLY };
  const missing = Object.keys(names).filter((name) => /_(LABEL|ANNOTATION)$/.test(name) && !Object.hasOwn(known, name));
  if (missing.length > 0) throw new Error(`scripts/reference/annotations-page.ts says nothing of ${missing.join(', ')}`);
  return [
    GENERATED,
    '# Labels and annotations\n\nAnnotations unless said otherwise. Source: `src/api/kube/names.ts`.\n\n',
    `## That you write\n\n${section(WRITTEN_BY_YOU)}`,
    `\n## That the product writes\n\n${section(WRITTEN_BY_US)}`,
    `\n## That others write and the product reads\n\n${section(READ_ONLY)}`,
  ].join('');
}

function section(rows: Partial<Record<LabelName, Row>>): string {
  return markdownTable(
    ['name', 'on', 'value', 'meaning'],
    Object.entries(rows).map(([name, row]) => [code(nameByConstant[name as LabelName]), row.on, row.value, row.meaning]),
  );
}
