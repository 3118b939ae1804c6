"""What mail is: values and pure functions. No clock, file, log, thread or reactor."""
