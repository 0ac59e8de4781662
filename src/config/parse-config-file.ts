/*
 * The configuration file of the controller, as it is written, and settings that replace parts of it.
 */
import { parseYamlValue } from '../api/kube/yaml-documents.ts';
import { RefusedError } from '../errors.ts';
import { isIstioMeshKey } from './istio-mesh.ts';
import { MESH_KEYS } from './mesh.ts';

/** The content of the file; empty without a file. @throws RefusedError SP_CONFIG */
export function parseConfigFile(text: string | undefined): Record<string, unknown> {
  if (text === undefined || text.trim() === '') return {};
  let value: unknown;
  try {
    value = parseYamlValue(text);
  } catch (error) {
    throw new RefusedError('SP_CONFIG', `the configuration file is not YAML: ${error instanceof Error ? error.message : ''}`, {
      cause: error,
    });
  }
  if (value === null) return {};
  if (!isRecord(value)) throw new RefusedError('SP_CONFIG', 'the configuration file is not a mapping');
  const outside = Object.keys(value).filter(isMeshSetting);
  if (outside.length > 0) throw new RefusedError('SP_CONFIG', `${outside.join(', ')}: settings of Istio's MeshConfig belong below mesh`);
  return structuredClone(value);
}

/** Whether a key of the file is one of MeshConfig, or the name of the section in charts of Istio. */
function isMeshSetting(key: string): boolean {
  return key === 'meshConfig' || MESH_KEYS.has(key) || isIstioMeshKey(key);
}

/** Sets the member at `path`. */
export function setPath(target: Record<string, unknown>, path: readonly string[], value: string): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const inner = target[key];
  const next = isRecord(inner) ? inner : {};
  target[key] = next;
  setPath(next, rest, value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
