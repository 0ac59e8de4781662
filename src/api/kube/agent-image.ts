/*
 * The images of an injected pod.
 */

/**
 * The image of the init container next to an image of the agent: the same registry, path and tag with the name `redirect` instead of
 * `agent`. Undefined if the agent's image has another name or a digest, so that the other image cannot be derived from it.
 */
export function initImageOf(agentImage: string): string | undefined {
  const [, path, tag = ''] = /^((?:[^@]*\/)?)agent(:[^:/@]+)?$/.exec(agentImage) ?? [];
  return path === undefined ? undefined : `${path}redirect${tag}`;
}
