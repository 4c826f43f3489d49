// An OpenTelemetry Collector for tests, of its own parts: built from Go modules, since its releases are not to be had here.
import { join } from 'node:path';
import { ensureBuilt } from './go-recipes.ts';

/** Of later ones Go's proxy does not serve all modules here. */
const version = '0.117.0';
const binary = 'otel-collector';

/** Takes `--config file:<path>`. */
export async function ensureOtelCollector(): Promise<string> {
  const built = await ensureBuilt({
    name: binary,
    version,
    module: binary,
    binaries: { [binary]: `tsmesh.dev/${binary}` },
    ldflags: '-s -w',
  });
  return join(built, binary);
}
