// Log.
