// The version of the sidecar, for those who ask it.

export const version = '0.1.0';
