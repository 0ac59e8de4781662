/*
 * The version of the running program, from package.json. In: nothing. Out: text for `--version`, for the annotation of
 * injected pods and for metrics of build info. Bundling writes it into the file.
 */
import packageJson from '../package.json' with { type: 'json' };

/** Where the pages under `docs/` are published. */
export const DOCS_URL = 'https://sallyport.dev/docs';

/** Semantic version, e.g. `0.1.0`. */
export const VERSION: string = packageJson.version;
