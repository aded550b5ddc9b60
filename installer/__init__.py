"""The installer: answers, resolve, plan, execute. Runs in the live system; its pure parts anywhere."""
