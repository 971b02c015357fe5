"""What training minimises: the pivot-consistent and the contrastive loss over patches, and their sum."""
