"""Worker processes: started, spoken to and watched, by whichever backend has them."""
