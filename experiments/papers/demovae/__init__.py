"""DemoVAE (Orlichenko et al. 2024): connectivity without demographics, and with those asked for."""
