"""SQLite in WAL mode: the database port with one writer, its group commit, its bulk SQL."""
