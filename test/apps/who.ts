// Who answers: stands in every response, so that tests see which pod and which version served them.

export interface Who {
  service: string;
  version: string;
  pod: string;
}

export function whoAmI(env: NodeJS.ProcessEnv): Who {
  return {
    service: env['SERVICE'] ?? 'app',
    version: env['VERSION'] ?? 'v1',
    pod: env['HOSTNAME'] ?? '',
  };
}
