/*
 * The version of Sallyport from package.json, for `--version`, the annotation of injected pods and build info metrics. The
 * bundler inlines it.
 */
import packageJson from '../package.json' with { type: 'json' };

/** Semantic version, e.g. `0.1.0`. */
export const VERSION: string = packageJson.version;
