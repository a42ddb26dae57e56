"""`kiban broker`: NGSI-LD (ETSI GS CIM 009 v1.9.1) and NGSIv2 in one process, on its own database."""
