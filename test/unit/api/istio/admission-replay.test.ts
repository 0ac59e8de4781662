/*
 * Replays the recorded conformance cases: validation rejects exactly the resources that real Istio rejected, at the same
 * stage and with the same text.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { admissionError } from '../../../../src/api/istio/admission-error.ts';
import { validatePolicy } from '../../../../src/api/istio/validate-policy.ts';
import { admissionTextOf, errorBlock } from '../../../../src/api/istio/validation-finding.ts';

interface Recorded {
  readonly resource: string;
  readonly stage: string;
  readonly error: string;
}

interface Case {
  readonly resources: readonly { readonly kind: string; readonly metadata: { readonly name: string; readonly namespace: string } }[];
  readonly istio: { readonly rejected?: readonly Recorded[]; readonly warnings?: readonly Recorded[] };
}

const DIRECTORIES = ['../../../conformance/cases/', '../../../conformance/random/', '../../../../../shared/conformance/istio/'];

for (const directory of DIRECTORIES) {
  const url = new URL(directory, import.meta.url);
  describe(`recorded admissions of ${directory.replaceAll('../', '')}`, () => {
    if (!existsSync(url)) {
      it.skip('the recordings are not present');
      return;
    }
    for (const file of readdirSync(url).filter((name) => name.endsWith('.json'))) {
      const recording = JSON.parse(readFileSync(new URL(file, url), 'utf8')) as Case;
      it(`${file}: rejects and warns as recorded`, () => {
        for (const resource of recording.resources.filter(({ kind }) => kind !== 'PeerAuthentication')) checkResource(resource, recording);
      });
    }
  });
}

function checkResource(resource: Case['resources'][number], recording: Case): void {
  const { kind, metadata } = resource;
  const id = `${kind}/${metadata.namespace}/${metadata.name}`;
  const recorded = (recording.istio.rejected ?? []).filter((entry) => entry.resource === id);
  const findings = validatePolicy(resource);
  const errors = findings.filter((finding) => finding.severity === 'error');
  expect([...new Set(errors.map((finding) => finding.stage))].sort(), `${id}: stages`).to.deep.equal(
    recorded.map((entry) => entry.stage).sort(),
  );
  for (const entry of recorded) {
    if (entry.stage === 'crd') {
      const path = errors.find((finding) => finding.stage === 'crd')?.path;
      expect(entry.error, id).to.include(`: ${path}: `);
    } else {
      expect(admissionError(kind, metadata.namespace, metadata.name, findings), id).to.equal(entry.error);
    }
  }
  const warnings = findings.filter((finding) => finding.severity === 'warning').map(admissionTextOf);
  const [first] = warnings;
  const text = first === undefined || warnings.length === 1 ? first : errorBlock(warnings);
  const recordedWarnings = (recording.istio.warnings ?? []).filter((entry) => entry.resource === id && entry.stage === 'webhook');
  if (recorded.length === 0) expect(text, `${id}: warnings`).to.equal(recordedWarnings[0]?.error);
}
