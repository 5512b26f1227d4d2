"""What learners' answers say: rates with their intervals, memory, progress. Import the module you need."""
