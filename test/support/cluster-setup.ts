// Loaded before each cluster test file: a real cluster takes seconds where a unit takes milliseconds.
import { jest } from '@jest/globals';

jest.setTimeout(120_000);
